/* `label PATH…`: the SELinux label of each file itself, which busybox cannot say. */
#include <stdio.h>
#include <sys/xattr.h>

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    char label[256];
    ssize_t size = lgetxattr(argv[i], "security.selinux", label, sizeof label - 1);
    if (size < 0) return perror(argv[i]), 1;
    label[size] = 0;
    puts(label);
  }
  return 0;
}
