/*
 * Copies a tree by fds, following no link: a tmpfs over an image's folder (--tmpfs), an image's content into a new volume,
 * one volume into another. Owners, modes, times, attributes, links and holes are kept. What both filesystems can share
 * they do: a file is cloned where that is possible and copied by the kernel where it is not.
 */
#include "copy.h"
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define DEEPEST 200
#define FILLING "filling"

/* ---- files with several names */

static struct twin *twin_of(struct copy *c, const struct stat *st) {
  for (uint32_t i = c->bucket[st->st_ino % BUCKETS]; i; i = c->twins[i - 1].next)
    if (c->twins[i - 1].ino == st->st_ino && c->twins[i - 1].dev == st->st_dev) return &c->twins[i - 1];
  return NULL;
}

static int remember(struct copy *c, const struct stat *st, const char *name) {
  if (c->count == c->room) {
    uint32_t room = c->room ? c->room * 2 : 64;
    struct twin *larger = realloc(c->twins, room * sizeof *larger);
    if (!larger) return -ENOMEM;
    c->twins = larger;
    c->room = room;
  }
  size_t len = strlen(name);
  char *path = malloc(c->len + len + 1);
  if (!path) return -ENOMEM;
  memcpy(path, c->path, c->len);
  memcpy(path + c->len, name, len + 1);
  uint32_t *bucket = &c->bucket[st->st_ino % BUCKETS];
  c->twins[c->count++] = (struct twin){st->st_dev, st->st_ino, path, *bucket};
  *bucket = c->count;
  return 0;
}

void forget_twins(struct copy *c) {
  for (uint32_t i = 0; i < c->count; i++) free(c->twins[i].path);
  free(c->twins);
}

/* One more name for the copy. Somebody may be at work in the target: the way to it leads through no link. */
static int link_twin(struct copy *c, const struct twin *twin, int to, const char *name) {
  char folder[PATH_MAX];
  const char *slash = strrchr(twin->path, '/');
  size_t len = slash ? (size_t)(slash - twin->path) : 0;
  memcpy(folder, twin->path, len);
  folder[len] = 0;
  closing parent = open_beneath(c->top, len ? folder : ".", O_PATH | O_DIRECTORY, true);
  return parent < 0 ? parent : check(linkat(parent, slash ? slash + 1 : twin->path, to, name, 0));
}

/* ---- what a file is beside its content */

static bool own_attribute(const char *key) {
  return strncmp(key, "trusted.overlay.", 16) && strncmp(key, "user.overlay.", 13) && strcmp(key, "security.selinux");
}

/* Filesystems and callers differ in what they may hold: an attribute that cannot be had here is left out. */
static bool may_lack(int error) { return error == EOPNOTSUPP || error == EPERM || error == EACCES; }

/* `in` and `out` are open; or both are -1 and what is meant are `name` in the folder `from` and `as` in `to`. */
static int copy_attributes(int in, int out, int from, const char *name, int to, const char *as) {
  char keys[4096], value[65536];
  if (in < 0 && fchdir(from) < 0) return -errno;
  ssize_t size = in < 0 ? llistxattr(name, keys, sizeof keys) : flistxattr(in, keys, sizeof keys);
  for (const char *key = keys; size > 0 && key < keys + size; key += strlen(key) + 1) {
    if (!own_attribute(key)) continue;
    if (in < 0 && fchdir(from) < 0) return -errno;
    ssize_t n = in < 0 ? lgetxattr(name, key, value, sizeof value) : fgetxattr(in, key, value, sizeof value);
    if (n < 0) continue;
    if (in < 0 && fchdir(to) < 0) return -errno;
    int done = in < 0 ? lsetxattr(as, key, value, (size_t)n, 0) : fsetxattr(out, key, value, (size_t)n, 0);
    if (done < 0 && !may_lack(errno)) return -errno;
  }
  return in < 0 ? check(chdir("/")) : 0;
}

/* An owner who has no number in this user namespace cannot be had: the copy is the caller's. */
static int give(int at, const char *name, const struct stat *st) {
  int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
  return fchownat(at, name, st->st_uid, st->st_gid, flags) < 0 && errno != EINVAL ? -errno : 0;
}

int dress(int in, int out, const struct stat *st) {
  int error = give(out, "", st);
  if (error) return error;
  if (fchmod(out, st->st_mode & 07777) < 0) return -errno; /* chown took setuid away */
  error = copy_attributes(in, out, -1, NULL, -1, NULL);
  struct timespec times[2] = {st->st_atim, st->st_mtim};
  return error ? error : check(futimens(out, times));
}

/* ---- content */

static int copy_range(int in, int out, off_t at, off_t end) {
  bool by_range = true;
  if (lseek(in, at, SEEK_SET) < 0 || lseek(out, at, SEEK_SET) < 0) return -errno;
  while (at < end) {
    size_t want = (size_t)(end - at < 1 << 30 ? end - at : 1 << 30);
    ssize_t n = by_range ? copy_file_range(in, NULL, out, NULL, want, 0) : sendfile(out, in, NULL, want);
    if (n < 0 && by_range && errno != ENOSPC && errno != EDQUOT && errno != EIO) by_range = false;
    else if (n < 0) return -errno;
    else if (n == 0) return 0; /* it has become shorter */
    else at += n;
  }
  return 0;
}

static int copy_content(int in, int out, const struct stat *st) {
  if (st->st_size == 0 || ioctl(out, FICLONE, in) == 0) return 0;
  if (st->st_blocks * 512 >= st->st_size) return copy_range(in, out, 0, st->st_size);
  int error = check(ftruncate(out, st->st_size));
  for (off_t at = 0; !error && at < st->st_size;) {
    off_t data = lseek(in, at, SEEK_DATA);
    if (data < 0) return errno == ENXIO ? 0 : -errno;
    off_t hole = lseek(in, data, SEEK_HOLE);
    if (hole < 0) return -errno;
    error = copy_range(in, out, data, hole);
    at = hole;
  }
  return error;
}

int copy_file(struct copy *c, int from, int to, const char *name) {
  struct stat st;
  /* Not a fifo that took its place: opening that would wait. */
  closing in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (in < 0) return -errno;
  int error = fstat(in, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EAGAIN : 0;
  const char *as = c->again ? UNFINISHED : c->beside ? c->beside : name;
  if (as != name) unlinkat(to, as, 0);
  closing out = error ? -1 : openat(to, as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (!error && out < 0) error = -errno;
  if (!error) error = copy_content(in, out, &st);
  if (!error) error = dress(in, out, &st);
  if (!error && c->again && renameat2(to, as, to, name, RENAME_NOREPLACE) < 0) {
    if (errno == EEXIST) unlinkat(to, as, 0);
    else error = -errno;
  }
  return !error && st.st_nlink > 1 ? remember(c, &st, name) : error;
}

static int copy_link(int from, const char *name, int to, const char *as) {
  char link[PATH_MAX];
  ssize_t n = readlinkat(from, name, link, sizeof link - 1);
  if (n < 0) return -errno;
  link[n] = 0;
  return check(symlinkat(link, to, as));
}

/*
 * A link, a device, a fifo or a socket: nothing of it can be opened. Its mode is what mknod is told, for the launcher's umask
 * is 0 until it becomes the container's program. No chmod: that would follow a link which the folder's owner has put in its
 * place meanwhile. What chown then takes away is a setuid bit, which means nothing where nothing is executed.
 */
int copy_node(struct copy *c, int from, int to, const char *name, const struct stat *st) {
  const char *as = c->beside ? c->beside : name;
  int error = S_ISLNK(st->st_mode) ? copy_link(from, name, to, as) : check(mknodat(to, as, st->st_mode, st->st_rdev));
  if (error == -EEXIST && c->again) return 0;
  /* Only the machine's own root may make devices; a container that needs one is given the host's. */
  if (error == -EPERM && (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))) return 0;
  if (error) return error;
  if ((error = give(to, as, st))) return error;
  error = copy_attributes(-1, -1, from, name, to, as);
  struct timespec times[2] = {st->st_atim, st->st_mtim};
  if (!error) error = check(utimensat(to, as, times, AT_SYMLINK_NOFOLLOW));
  if (!error && st->st_nlink > 1) error = remember(c, st, name);
  return error;
}

/* ---- folders */

static int copy_entry(struct copy *c, int from, int to, const char *name, int depth);

static int copy_contents(struct copy *c, int from, int to, int depth) {
  struct entries all = {.folder = from};
  int error = depth > DEEPEST ? -ELOOP : 0;
  for (const struct dirent64 *e; !error && (e = next_entry(&all));) error = copy_entry(c, from, to, e->d_name, depth);
  return error ? error : (int)all.n;
}

static int copy_folder(struct copy *c, int from, int to, const char *name, int depth) {
  struct stat st;
  size_t before = c->len, len = strlen(name);
  if (before + len + 2 > sizeof c->path) return -ENAMETOOLONG;
  closing in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (in < 0 || fstat(in, &st) < 0) return -errno;
  int made = mkdirat(to, name, 0700) < 0 && !(errno == EEXIST && c->again) ? -1 : 0;
  closing out = made < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int error = out < 0 ? -errno : 0;
  memcpy(c->path + before, name, len);
  c->path[before + len] = '/';
  c->len = before + len + 1;
  if (!error) error = copy_contents(c, in, out, depth + 1);
  c->len = before;
  return error ? error : dress(in, out, &st);
}

static int copy_entry(struct copy *c, int from, int to, const char *name, int depth) {
  struct stat st;
  /* Something that goes away meanwhile was not there. */
  if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : -errno;
  if (S_ISDIR(st.st_mode)) return copy_folder(c, from, to, name, depth);
  const struct twin *twin = st.st_nlink > 1 ? twin_of(c, &st) : NULL;
  if (twin) {
    int error = link_twin(c, twin, to, name);
    return error == -EEXIST && c->again ? 0 : error;
  }
  int error = S_ISREG(st.st_mode) ? copy_file(c, from, to, name) : copy_node(c, from, to, name, &st);
  return error == -ENOENT ? 0 : error;
}

/* What is in folder `in` into folder `out`; with `root` what the folder itself is, too. */
static int copy_whole(int in, int out, bool again, bool root) {
  struct stat st;
  struct copy c = {.top = out, .again = again};
  int error = check(fstat(in, &st));
  if (!error) error = copy_contents(&c, in, out, 0);
  if (!error && root) error = dress(in, out, &st);
  forget_twins(&c);
  return error;
}

int copy_tree(int from, int to) {
  closing in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (in < 0) return -errno;
  closing out = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return out < 0 ? -errno : copy_whole(in, out, false, false);
}

static bool is_empty(int folder) {
  struct entries all = {.folder = folder};
  return !next_entry(&all) && all.n == 0;
}

/*
 * A volume's first content. One container at a time looks whether it is empty and fills it; whoever was stopped half way
 * has left a mark beside it, and the next one goes on where it ended.
 */
static int fill(int in, int out, const char *volume) {
  int folder = check(open(volume, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder < 0) return folder;
  while (flock(folder, LOCK_EX) < 0 && errno == EINTR) continue;
  bool begun = faccessat(folder, FILLING, F_OK, 0) == 0;
  int error = 0;
  if (begun || is_empty(out)) {
    int mark = check(openat(folder, FILLING, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    error = mark < 0 ? mark : copy_whole(in, out, true, true);
    if (mark >= 0) close(mark);
    if (!error) error = check(unlinkat(folder, FILLING, 0));
  }
  close(folder);
  return error;
}

int op_copy(struct run *run, const struct arg *a) {
  const char *base = a[0].s, *path = a[1].s, *volume = a[2].s, *target = a[3].s;
  int in;
  if (a[0].len) in = check(open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  else {
    int found = beneath(run, path, 0);
    struct stat st;
    /* An image that has nothing there, or a file: there is nothing to copy. */
    if (found == -ENOENT || found == -ENOTDIR) return 0;
    if (found < 0) return found;
    bool folder = fstat(found, &st) == 0 && S_ISDIR(st.st_mode);
    in = folder ? check(openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : -1;
    close(found);
    if (!folder) return 0;
  }
  if (in < 0) return in;
  int out = check(open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  int error = out < 0 ? out : a[2].len ? fill(in, out, volume) : copy_whole(in, out, false, true);
  close(in);
  if (out >= 0) close(out);
  return error;
}
