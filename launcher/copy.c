/* Fills a tmpfs from the folder that it will cover (--tmpfs over an image's folder), by fds and following no link. */
#include "sampan.h"
#include <dirent.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int copy_file(int from, int to, const char *name, mode_t mode) {
  int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
  int error = in < 0 || out < 0 ? -errno : 0;
  for (ssize_t n = 1; !error && n > 0;)
    if ((n = sendfile(out, in, NULL, 1 << 30)) < 0) error = -errno;
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  return error;
}

static int copy_link(int from, int to, const char *name) {
  char link[PATH_MAX];
  ssize_t n = readlinkat(from, name, link, sizeof link - 1);
  if (n < 0) return -errno;
  link[n] = 0;
  return check(symlinkat(link, to, name));
}

static int copy_entry(int from, int to, const char *name, int depth);

static int copy_folder(int from, int to, int depth) {
  _Alignas(struct dirent64) char buffer[4096];
  int error = depth > 64 ? -ELOOP : 0;
  for (long n; !error && (n = syscall(SYS_getdents64, from, buffer, sizeof buffer)) != 0;) {
    if (n < 0) return -errno;
    for (char *p = buffer; !error && p < buffer + n;) {
      struct dirent64 *e = (struct dirent64 *)p;
      p += e->d_reclen;
      if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) error = copy_entry(from, to, e->d_name, depth);
    }
  }
  return error;
}

static int copy_entry(int from, int to, const char *name, int depth) {
  struct stat st;
  if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  int error = 0;
  if (S_ISDIR(st.st_mode)) {
    int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int out = in < 0 || mkdirat(to, name, 0700) < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    error = in < 0 || out < 0 ? -errno : copy_folder(in, out, depth + 1);
    if (in >= 0) close(in);
    if (out >= 0) close(out);
  } else if (S_ISREG(st.st_mode)) {
    error = copy_file(from, to, name, st.st_mode);
  } else if (S_ISLNK(st.st_mode)) {
    error = copy_link(from, to, name);
  } else {
    error = check(mknodat(to, name, st.st_mode, st.st_rdev));
  }
  if (error) return error;
  if (fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  if (!S_ISLNK(st.st_mode) && fchmodat(to, name, st.st_mode & 07777, 0) < 0) return -errno; /* chown took setuid away */
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  return check(utimensat(to, name, times, AT_SYMLINK_NOFOLLOW));
}

int copy_tree(int from, int to) {
  int in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (in < 0) return -errno;
  int out = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int error = out < 0 ? -errno : copy_folder(in, out, 0);
  close(in);
  if (out >= 0) close(out);
  return error;
}
