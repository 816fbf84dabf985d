/*
 * The container's root: paths beneath it, what is made there, and entering it. Every lookup is openat2 with
 * RESOLVE_IN_ROOT from the root's fd: whatever symlinks an image has, they end within it.
 */
#include "sampan.h"
#include <limits.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* ---- paths beneath the root */

int open_in(int dir, const char *path, uint64_t flags, uint64_t resolve) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
  /* EAGAIN: something was renamed or mounted meanwhile, so the kernel could not rule out an escape. */
  for (int tries = 0; tries < 64; tries++) {
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd >= 0) return (int)fd;
    if (errno != EAGAIN) return -errno;
  }
  return -EAGAIN;
}

int open_beneath(int dir, const char *path, int flags, bool no_links) {
  while (*path == '/') path++;
  return open_in(dir, *path ? path : ".", (uint64_t)flags, RESOLVE_BENEATH | (no_links ? RESOLVE_NO_SYMLINKS : 0));
}

void forget_root(struct run *run) {
  if (run->root >= 0 && !run->has_root) close(run->root), run->root = -1;
}

/* Without a `root` step the root is this mount namespace's own. */
static int root_of(struct run *run) {
  if (run->root < 0) run->root = check(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return run->root;
}

int beneath(struct run *run, const char *path, int flags) {
  int root = root_of(run);
  return root < 0 ? root : open_in(root, path, (uint64_t)flags | (flags & O_ACCMODE ? 0 : O_PATH), RESOLVE_IN_ROOT);
}

int op_root(struct run *run, const struct arg *a) {
  forget_root(run);
  run->root = check(open(a[0].s, O_PATH | O_DIRECTORY | O_CLOEXEC));
  run->has_root = run->root >= 0;
  return run->root < 0 ? run->root : 0;
}

/*
 * A missing part that is a symlink to something missing: its text takes its place in the path. One that is no link was made by
 * somebody else meanwhile, another container on the same folder: the path is as good as it was.
 */
static int follow(int parent, const char *name, char *path, size_t done, const char *rest) {
  char link[PATH_MAX], next[PATH_MAX];
  ssize_t len = readlinkat(parent, name, link, sizeof link);
  if (len < 0) return errno == EINVAL ? 0 : -errno;
  struct text t = text_in(next, sizeof next);
  if (link[0] != '/') put_bytes(&t, path, done), put(&t, "/");
  put_bytes(&t, link, (size_t)len);
  put(&t, rest);
  if (t.full) return -ENAMETOOLONG;
  memcpy(path, next, (size_t)(t.at - next) + 1);
  return 0;
}

/*
 * The thing at `path`, with its missing parents made one component at a time: each is made in a folder that is already
 * held open, so nothing is ever made outside of the root.
 */
int make(struct run *run, const char *wanted, enum create create, mode_t mode, bool *made) {
  char path[PATH_MAX];
  strcpy(path, wanted); /* the decoder allows no longer one */
  if (made) *made = false;
  for (int links = 0; links < 40; links++) {
    int fd = beneath(run, path, 0);
    if (fd != -ENOENT || create == CREATE_NOTHING) return fd;
    int parent = beneath(run, "/", O_DIRECTORY);
    for (char *p = path; parent >= 0;) {
      size_t done = (size_t)(p - path);
      while (*p == '/') p++;
      if (!*p) return parent;
      char *end = p + strcspn(p, "/"), name[NAME_MAX + 1];
      if (end - p > NAME_MAX) return close(parent), -ENAMETOOLONG;
      bool last = end[strspn(end, "/")] == 0;
      memcpy(name, p, (size_t)(end - p));
      name[end - p] = 0;
      char kept = *end;
      *end = 0;
      fd = beneath(run, path, 0);
      *end = kept;
      if (fd == -ENOENT) {
        bool file = last && create == CREATE_FILE;
        int error = file ? check(mknodat(parent, name, S_IFREG | 0644, 0)) : check(mkdirat(parent, name, last ? mode : 0755));
        if (error == -EEXIST) {
          error = follow(parent, name, path, done, end);
          close(parent);
          if (error) return error;
          break; /* from the beginning, by the new path */
        }
        if (error) return close(parent), error;
        if (last && made) *made = true;
        fd = check(openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
      }
      close(parent);
      parent = fd;
      p = end;
    }
    if (parent < 0) return parent;
  }
  return -ELOOP;
}

/* The folder in which `path` lies, made if it is missing, and the last name. */
static int parent_of(struct run *run, const char *path, const char **name) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  *name = slash + 1;
  if (!**name || !strcmp(*name, ".") || !strcmp(*name, "..")) return -EINVAL;
  memcpy(folder, path, (size_t)(slash - path));
  folder[slash - path] = 0;
  if (slash == path) strcpy(folder, "/");
  return make(run, folder, CREATE_DIR, 0755, NULL);
}

static int make_on_host(const char *wanted, mode_t mode, bool *made) {
  char path[PATH_MAX];
  strcpy(path, wanted);
  *made = false;
  if (mkdir(path, mode) == 0) return *made = true, 0;
  if (errno == EEXIST) return 0;
  for (char *p = path + 1; errno == ENOENT && (p = strchr(p, '/')); p++) {
    *p = 0;
    if (mkdir(path, 0755) < 0 && errno != EEXIST) return -errno;
    errno = ENOENT;
    *p = '/';
  }
  if (mkdir(path, mode) == 0) return *made = true, 0;
  return errno == EEXIST ? 0 : -errno;
}

int op_mkdir(struct run *run, const struct arg *a) {
  bool in_root = a[0].n, made;
  mode_t mode = (mode_t)a[2].n;
  int fd = in_root ? make(run, a[1].s, CREATE_DIR, mode, &made) : make_on_host(a[1].s, mode, &made);
  if (fd < 0) return fd;
  int error = 0;
  if (made && ((uint32_t)a[3].n != UINT32_MAX || (uint32_t)a[4].n != UINT32_MAX))
    error = in_root ? check(fchownat(fd, "", (uid_t)a[3].n, (gid_t)a[4].n, AT_EMPTY_PATH))
                    : check(lchown(a[1].s, (uid_t)a[3].n, (gid_t)a[4].n));
  if (in_root) close(fd);
  return error;
}

/* ---- nodes */

int op_mknod(struct run *run, const struct arg *a) {
  const char *name;
  struct stat st;
  mode_t mode = (mode_t)a[1].n;
  dev_t device = makedev((unsigned)a[2].n, (unsigned)a[3].n);
  closing parent = parent_of(run, a[0].s, &name);
  if (parent < 0) return parent;
  int error = check(mknodat(parent, name, mode, device));
  if (error == -EEXIST && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == (mode & S_IFMT) &&
      st.st_rdev == device)
    error = 0;
  return error ? error : check(fchownat(parent, name, (uid_t)a[4].n, (gid_t)a[5].n, AT_SYMLINK_NOFOLLOW));
}

int op_symlink(struct run *run, const struct arg *a) {
  const char *name;
  closing parent = parent_of(run, a[0].s, &name);
  if (parent < 0) return parent;
  int error = check(symlinkat(a[1].s, parent, name));
  return error == -EEXIST ? 0 : error;
}

/* ---- entering */

int op_pivot(struct run *run, const struct arg *a) {
  if (!run->has_root) return -EINVAL;
  closing old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old < 0 || fchdir(run->root) < 0) return -errno;
  /* The new root takes the old one's place and lies on top of it for a moment: detached there, no folder is needed. */
  if (syscall(SYS_pivot_root, ".", ".") < 0) return -errno;
  /* With a shared bind the old root is shared with the host's still: what goes here would go there. */
  if (fchdir(old) < 0 || mount(0, ".", 0, MS_SLAVE | MS_REC, 0) < 0) return -errno;
  if (umount2(".", MNT_DETACH) < 0) return -errno;
  return check(chdir("/"));
}

int op_chroot(struct run *run, const struct arg *a) {
  if (run->has_root && fchdir(run->root) < 0) return -errno;
  if (chroot(".") < 0) return -errno;
  return check(chdir("/"));
}
