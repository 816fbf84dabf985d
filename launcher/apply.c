/*
 * What a container changed in its copy-on-write view of a folder, done to the folder itself. Every path is gone down from the
 * folder's own fd and through no link, since the folder may belong to somebody who would like to have a file written
 * elsewhere. A file is whole beside its place before it takes it.
 */
#include "copy.h"
#include <stdio.h>

/* What is behind a link is nothing of the folder's. */
static bool is_gone(int error) { return error == -ENOENT || error == -ENOTDIR || error == -ELOOP; }

/* The folder that `path` lies in, below `top`, and its last name. No link leads there. */
static int folder_of(int top, const char *path, const char **name) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  *name = slash + 1;
  if (!**name || !strcmp(*name, ".") || !strcmp(*name, "..")) return -EINVAL;
  memcpy(folder, path, (size_t)(slash - path));
  folder[slash - path] = 0;
  return open_beneath(top, folder, O_RDONLY | O_DIRECTORY, true);
}

static int put_folder(int from, int to, const char *name) {
  struct stat st;
  closing in = check(openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (in < 0) return in;
  int error = check(mkdirat(to, name, 0700));
  if (error == -EEXIST && fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
    error = S_ISDIR(st.st_mode) ? 0 : unlinkat(to, name, 0) < 0 || mkdirat(to, name, 0700) < 0 ? -errno : 0;
  closing out = error ? -1 : check(openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!error && out < 0) error = out;
  if (!error) error = check(fstat(in, &st));
  return error ? error : dress(in, out, &st);
}

/* Whole beside its place, and then into it with one rename. */
static int put_file(int from, int to, const char *name, const struct stat *st) {
  char beside[64];
  struct text t = text_in(beside, sizeof beside);
  put(&t, UNFINISHED "-");
  put_number(&t, (uint64_t)getpid());
  put(&t, "-");
  put_number(&t, now_us());
  struct copy c = {.top = to, .beside = beside};
  int error = S_ISREG(st->st_mode) ? copy_file(&c, from, to, name) : copy_node(&c, from, to, name, st);
  if (!error && (error = check(renameat(to, beside, to, name))) == -EISDIR) {
    delete_tree(to, name, 0);
    error = check(renameat(to, beside, to, name));
  }
  if (error) unlinkat(to, beside, 0);
  forget_twins(&c);
  return error;
}

int op_apply(struct run *run, const struct arg *a) {
  const char *path = a[2].s, *name;
  struct stat st;
  closing upper = check(open(a[0].s, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  closing top = upper < 0 ? upper : check(open(a[1].s, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  closing to = top < 0 ? top : folder_of(top, path, &name), from = -1;
  int error = to < 0 ? to : 0;
  if (a[3].n) {
    if (is_gone(error)) error = 0;
    else if (!error) {
      if (unlinkat(to, name, 0) < 0 && errno != ENOENT) delete_tree(to, name, 0);
      if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) == 0) error = -ENOTEMPTY;
    }
  } else if (!error) {
    from = error = folder_of(upper, path, &name);
    if (from >= 0) error = check(fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW));
    if (!error) error = S_ISDIR(st.st_mode) ? put_folder(from, to, name) : put_file(from, to, name, &st);
  }
  return error;
}
