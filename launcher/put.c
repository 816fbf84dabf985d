/*
 * `sampan-launcher put`: makes files in a folder as records on fd 0 say, and answers on fd 1 with one line of JSON. fd 3 is the open
 * root beneath which everything is. What is to be made is decided, and read out of archives, by who writes the records; done here it
 * costs the system calls and nothing else, beside the one who decides.
 *
 * A member is one name in its open parent. Parents are looked up beneath the root, so that nothing is ever made outside of it, whatever
 * links there are, whoever exchanges them meanwhile, and whatever the records say.
 */
#include "sampan.h"
#include <limits.h>
#include <linux/openat2.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/*
 * A record is this head and `len` bytes, filled up to a multiple of 8. All but DATA have one text or two, each with its NUL: `first` is
 * the length of the first. PARENT and then names in it; DATA and XATTR belong to the FILE or AGAIN before them.
 */
struct record {
  uint32_t op, len, mode, first, uid, gid;
  int64_t mtime;  /* nanoseconds since 1970 */
  uint64_t size;  /* of a FILE; where DATA belongs; a NODE's device */
};
enum { START, PARENT, DATA, XATTR, DONE, FILE_, FOLDER, SYMLINK, LINK, NODE, AGAIN, OPS };
/* As they are said in an error. */
static const char *const CALLS[OPS] = {[FILE_] = "open", "mkdir", "symlink", "link", "mknod", "open"};
/* Of START's mode: links lead where they lead inside, and the root is this process's; owners are the records', not START's. */
enum { LINKS_INSIDE = 1, THEIR_OWNERS = 2 };

#define ROOT 3
#define TEXTS (128u << 10)

static struct {
  size_t at, end;
  _Alignas(8) uint8_t bytes[1 << 20];
} in;

static struct {
  uint32_t flags;
  uid_t me, uid;
  gid_t my_group, gid;
  char base[PATH_MAX], path[PATH_MAX]; /* the folder that all is put into, and the present parent seen from there */
  int parent;
  bool inherits; /* what is made in the parent would belong to another group than the caller's */
  uint32_t sure; /* files that are made in it with this mode have it: no ACL of the folder's takes anything away */
  /* What is open: a file that is being written, or a folder that is met again. */
  int fd;
  bool dressed;
  struct record meta;
  char name[NAME_MAX + 1];
  uint64_t written;
} put_ = {.parent = -1, .fd = -1};

/* ---- what comes in, and what is said of it */

/* The next bytes in one piece. Without them whoever sends has gone, or has found that it does not want the rest. */
static const uint8_t *take(size_t len) {
  if (in.at + len > sizeof in.bytes) {
    memmove(in.bytes, in.bytes + in.at, in.end - in.at);
    in.end -= in.at;
    in.at = 0;
  }
  while (in.end - in.at < len) {
    ssize_t n = read(0, in.bytes + in.end, sizeof in.bytes - in.end);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);
    in.end += (size_t)n;
  }
  in.at += len;
  return in.bytes + in.at - len;
}

/* `why` is a word where the errno alone does not say it; of a `target` that is missing, `call` is its name. */
__attribute__((noreturn)) static void fail(const char *why, const char *call, const char *folder, const char *name) {
  static char line[16 * PATH_MAX];
  struct text t = text_in(line, sizeof line);
  int error = errno;
  put_all(&t, "{\"why\":\"", why, "\",\"errno\":"), put_number(&t, (uint64_t)error);
  put(&t, ",\"call\":\"");
  put_json(&t, call, strlen(call));
  put(&t, "\",\"path\":\"");
  put_json(&t, folder, strlen(folder));
  if (*folder && *name) put(&t, "/");
  put_json(&t, name, strlen(name));
  put(&t, "\"}\n");
  write_all(1, line, (size_t)(t.at - t.start));
  _exit(0);
}

__attribute__((noreturn)) static void nonsense(void) {
  complain("this is not what is to be put:", "a record is wrong", 0);
  _exit(1);
}

/* ---- folders */

static int look(const char *path) {
  char whole[2 * PATH_MAX];
  struct text t = text_in(whole, sizeof whole);
  put_all(&t, put_.base, *put_.base && *path ? "/" : "", path);
  uint64_t resolve = put_.flags & LINKS_INSIDE ? RESOLVE_IN_ROOT : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return open_in(ROOT, *whole ? whole : ".", O_PATH | O_DIRECTORY, resolve);
}

static int found(int fd, const char *path) {
  if (fd >= 0) return fd;
  errno = -fd;
  fail("parent", "open", *path ? path : put_.base, "");
}

static void own(int at, const char *name, uid_t uid, gid_t gid) {
  if (!(put_.flags & THEIR_OWNERS)) uid = put_.uid, gid = put_.gid;
  if (uid == put_.me && gid == put_.my_group && !put_.inherits) return;
  /* Whom it cannot give to others keeps what it makes, as with `cp -a`; so does an id that has no meaning here. */
  if (fchownat(at, name, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 && errno != EINVAL && put_.me == 0)
    fail("", "chown", put_.path, *name ? name : put_.name);
}

/* Parents that are missing: 0755, of the owner of all. */
static int make_parents(char *path) {
  int parent = found(look(""), "");
  for (char *name = path, *end; *name; name = end + (*end == '/')) {
    end = name + strcspn(name, "/");
    char after = *end;
    *end = 0;
    int fd = look(path);
    if (fd == -ENOENT) {
      if (mkdirat(parent, name, 0755) < 0) fail("", "mkdir", path, "");
      own(parent, name, 0, 0);
      fd = check(openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    close(parent);
    parent = found(fd, path);
    *end = after;
  }
  return parent;
}

static void enter(const char *path) {
  struct stat st;
  int fd = look(path);
  strcpy(put_.path, path);
  if (fd == -ENOENT && *path) fd = make_parents(put_.path);
  found(fd, path);
  if (put_.parent >= 0) close(put_.parent);
  put_.parent = fd;
  put_.sure = ~0u;
  put_.inherits = fstat(fd, &st) == 0 && st.st_mode & S_ISGID;
}

/* ---- what is made */

static int make_one(const struct record *r, const char *name, const char *link) {
  switch (r->op) {
  case FILE_: return put_.fd = openat(put_.parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, r->mode & 0777);
  case FOLDER: return mkdirat(put_.parent, name, 0700);
  case SYMLINK: return symlinkat(link, put_.parent, name);
  case NODE: return mknodat(put_.parent, name, r->mode & ~07000u, r->size);
  default: nonsense();
  }
}

/* Another name of what was put before. */
static int make_link(const char *name, const char *target) {
  char folder[PATH_MAX];
  struct stat st;
  const char *last = strrchr(target, '/');
  size_t len = last ? (size_t)(last - target) : 0;
  if (len >= sizeof folder) return errno = ENAMETOOLONG, -1;
  memcpy(folder, target, len);
  folder[len] = 0;
  last = last ? last + 1 : target;
  closing from = look(folder);
  if (from < 0 && from != -ENOENT) found(from, folder);
  if (from < 0 || fstatat(from, last, &st, AT_SYMLINK_NOFOLLOW) < 0) fail("target", target, put_.path, name);
  return linkat(from, last, put_.parent, name, 0);
}

/* What is there goes, unless one of the two is a folder and the other is not. */
static void place(const struct record *r, const char *name, const char *link) {
  struct stat st;
  for (bool cleared = false;; cleared = true) {
    if ((r->op == LINK ? make_link(name, link) : make_one(r, name, link)) >= 0) return;
    if (errno != EEXIST || cleared) break;
    bool there = fstatat(put_.parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0, folder = there && S_ISDIR(st.st_mode);
    if (folder && r->op == FOLDER) return;
    if (folder) fail("folder", "", put_.path, name);
    if (r->op == FOLDER) fail("file", "", put_.path, name);
    if (there && unlinkat(put_.parent, name, 0) < 0) fail("", "unlink", put_.path, name);
  }
  bool device = r->op == NODE && !S_ISFIFO(r->mode);
  /* No overlay lets anybody make what to it is a hidden name. */
  bool whiteout = device && S_ISCHR(r->mode) && r->size == 0;
  fail(device && errno == EPERM ? whiteout ? "whiteout" : "device" : "", CALLS[r->op], put_.path, name);
}

static const struct timespec *times(int64_t ns) {
  static struct timespec t[2] = {{0, UTIME_OMIT}};
  t[1].tv_nsec = ns % 1000000000;
  t[1].tv_sec = ns / 1000000000;
  if (t[1].tv_nsec < 0) t[1].tv_nsec += 1000000000, t[1].tv_sec--;
  return t;
}

static bool has_mode(uint32_t mode) {
  struct stat st;
  if (put_.meta.op != FILE_) return false;
  if (mode == put_.sure) return true;
  if (fstat(put_.fd, &st) < 0 || (st.st_mode & 07777) != mode) return false;
  /* A change of owner could take setuid bits away from another one. */
  if (mode <= 0777) put_.sure = mode;
  return true;
}

/* Owner and mode of what is open, once all of its content is there. A change of owner takes setuid bits and attributes away. */
static void dress(void) {
  const struct record *r = &put_.meta;
  if (put_.dressed) return;
  put_.dressed = true;
  if (put_.written < r->size && ftruncate(put_.fd, (off_t)r->size) < 0) fail("", "ftruncate", put_.path, put_.name);
  own(put_.fd, "", r->uid, r->gid);
  if (!has_mode(r->mode) && fchmod(put_.fd, r->mode) < 0) fail("", "chmod", put_.path, put_.name);
}

static void finish(void) {
  if (put_.fd < 0) return;
  dress();
  if (futimens(put_.fd, times(put_.meta.mtime)) < 0) fail("", "utimensat", put_.path, put_.name);
  close(put_.fd);
  put_.fd = -1;
}

/* A filesystem may know no attributes, and only root may give all but user.*. */
static void attribute(const struct record *r, const char *key, const uint8_t *value) {
  if (put_.fd < 0) nonsense();
  dress();
  if (fsetxattr(put_.fd, key, value, r->len - r->first, 0) < 0 && errno != ENOTSUP && errno != EPERM)
    fail("", "setxattr", put_.path, put_.name);
}

static void data(const struct record *r) {
  if (put_.fd < 0 || put_.dressed) nonsense();
  uint64_t at = r->size;
  for (uint32_t left = r->len; left;) {
    if (in.at == in.end) in.at = in.end = 0, take(1), in.at--;
    size_t most = in.end - in.at < left ? in.end - in.at : left;
    ssize_t n = pwrite(put_.fd, in.bytes + in.at, most, (off_t)at);
    if (n < 0 && errno != EINTR) fail("", "write", put_.path, put_.name);
    if (n <= 0) continue;
    in.at += (size_t)n;
    at += (uint64_t)n;
    left -= (uint32_t)n;
  }
  take(-r->len & 7);
  put_.written = at;
}

/* Said once, by who has opened the root: whoever packs cannot say it again. */
static void begin(const struct record *r, const char *base) {
  static bool begun;
  if (begun) nonsense();
  begun = true;
  put_.flags = r->mode;
  put_.uid = r->uid;
  put_.gid = r->gid;
  put_.me = geteuid();
  put_.my_group = getegid();
  strcpy(put_.base, base);
  if (r->mode & LINKS_INSIDE && (fchdir(ROOT) < 0 || chroot(".") < 0)) fail("", "chroot", "", "");
}

static void member(const struct record *r, const char *name, const char *link) {
  bool self = r->op == AGAIN && !strcmp(name, ".");
  if (put_.parent < 0 || !*name || (*name == '.' && !self && (!name[1] || !strcmp(name, ".."))) || strchr(name, '/')) nonsense();
  if (strlen(name) > NAME_MAX) errno = ENAMETOOLONG, fail("", CALLS[r->op], put_.path, name);
  strcpy(put_.name, name);
  if (r->op == AGAIN) {
    put_.fd = openat(put_.parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (put_.fd < 0) fail("", "open", put_.path, name);
  } else {
    place(r, name, link);
  }
  if (put_.fd >= 0) {
    put_.meta = *r;
    put_.written = 0;
    put_.dressed = false;
  } else if (r->op == SYMLINK || r->op == NODE) {
    own(put_.parent, name, r->uid, r->gid);
    if (utimensat(put_.parent, name, times(r->mtime), AT_SYMLINK_NOFOLLOW) < 0) fail("", "utimensat", put_.path, name);
  }
}

/* Whether there are as many texts as there should be, each with a NUL at its end and nowhere else. */
static bool well_formed(const struct record *r, const uint8_t *texts) {
  bool two = r->op == SYMLINK || r->op == LINK;
  const uint8_t *second = texts + r->first;
  if (r->op >= OPS || r->first > r->len || r->first == 0 || memchr(texts, 0, r->first) != second - 1) return false;
  if (r->op == XATTR) return true;
  uint32_t rest = r->len - r->first;
  return two ? rest > 0 && memchr(second, 0, rest) == second + rest - 1 : rest == 0;
}

void put_main(void) {
  prctl(PR_SET_NAME, "sampan-put");
  for (;;) {
    struct record r = *(const struct record *)(const void *)take(sizeof r);
    if (r.op == DATA) {
      data(&r);
      continue;
    }
    if (r.len > TEXTS) nonsense();
    const uint8_t *texts = take((r.len + 7) & ~7u);
    const char *text = (const char *)texts;
    if (!well_formed(&r, texts)) nonsense();
    if (r.op == XATTR) {
      attribute(&r, text, texts + r.first);
      continue;
    }
    finish();
    if ((r.op == START || r.op == PARENT) && r.first > PATH_MAX) errno = ENAMETOOLONG, fail("", "open", text, "");
    if (r.op == START) begin(&r, text);
    else if (r.op == PARENT) enter(text);
    else if (r.op == DONE) break;
    else member(&r, text, text + r.first);
  }
  write_all(1, "{}\n", 3);
  _exit(0);
}
