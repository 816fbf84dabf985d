/* Removes a folder with all that is in it, by fds and following no link: what a container has left in it is hostile. */
#include "sampan.h"
#include <linux/openat2.h>

/* What lies deeper stays, and with it the folders above: the engine sweeps it up. */
#define DEEPEST 200

static void remove_contents(int folder, int depth) {
  struct entries all = {.folder = folder};
  for (const struct dirent64 *e; (e = next_entry(&all));)
    if (e->d_type == DT_DIR || unlinkat(folder, e->d_name, 0) < 0) delete_tree(folder, e->d_name, depth + 1);
}

void delete_tree(int at, const char *name, int depth) {
  /* Names may be passed over while others go: so once more, as long as the folder is not empty. */
  for (int round = 0; round < 3 && unlinkat(at, name, AT_REMOVEDIR) < 0; round++) {
    /* A path of the engine's own may lead anywhere; what lies in it never into something that is mounted there. */
    uint64_t resolve = at == AT_FDCWD ? 0 : RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    int folder = depth > DEEPEST ? -1 : open_in(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve);
    if (folder < 0) return;
    remove_contents(folder, depth);
    close(folder);
  }
}
