/* `put` alone, for fuzzing under the sanitizers: its records on fd 0, its root on fd 3. */
#include "sampan.h"
#include <sys/stat.h>

int main(void) {
  umask(0);
  put_main();
}
