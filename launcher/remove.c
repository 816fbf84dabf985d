/* Removes a folder with all that is in it, by fds and following no link: what a container has left in it is hostile. */
#include "sampan.h"
#include <dirent.h>
#include <sys/syscall.h>

/* What lies deeper stays, and with it the folders above: the engine sweeps it up. */
#define DEEPEST 200

static void remove_contents(int folder, int depth) {
  _Alignas(struct dirent64) char buffer[4096];
  for (long n; (n = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;)
    for (char *p = buffer; p < buffer + n;) {
      struct dirent64 *e = (struct dirent64 *)p;
      p += e->d_reclen;
      if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
      if (e->d_type == DT_DIR || unlinkat(folder, e->d_name, 0) < 0) delete_tree(folder, e->d_name, depth + 1);
    }
}

void delete_tree(int at, const char *name, int depth) {
  /* Names may be passed over while others go: so once more, as long as the folder is not empty. */
  for (int round = 0; round < 3 && unlinkat(at, name, AT_REMOVEDIR) < 0; round++) {
    int folder = depth > DEEPEST ? -1 : openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) return;
    remove_contents(folder, depth);
    close(folder);
  }
}
