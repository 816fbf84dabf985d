/*
 * The root filesystem: mounts, and what lies in them. Every mount is made detached (fsmount, open_tree), given its
 * attributes while nobody can reach it, and then moved onto a fd. That fd was resolved beneath the container's root
 * with openat2(RESOLVE_IN_ROOT), so there is no moment between check and use in which an image's symlink, or another
 * container that shares a volume, could send the mount elsewhere (CVE-2021-30465 and its four successors).
 */
#include "sampan.h"
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* ---- making mounts */

/* The kernel's own words about a filesystem that it refused: "e overlay: …". */
static void kernel_words(struct run *run, int context) {
  char line[256];
  ssize_t n = read(context, line, sizeof line - 1);
  if (n < 2) return;
  line[n] = 0;
  line[strcspn(line, "\n")] = 0;
  detail(run, line[1] == ' ' ? line + 2 : line, "");
}

int move_onto(int mount, int target) {
  return check(move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

static int set_attributes(int mount, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation, int userns) {
  struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation, .userns_fd = userns < 0 ? 0 : (uint64_t)userns};
  return check(mount_setattr(mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr));
}

int clone_mount(int fd, const char *path, bool recursive) {
  int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH);
  return check(open_tree(fd, path, (unsigned)flags));
}

static unsigned attributes_of(uint64_t ms) {
  static const struct { unsigned long ms, attr; } MAP[] = {
      {MS_RDONLY, MOUNT_ATTR_RDONLY}, {MS_NOSUID, MOUNT_ATTR_NOSUID}, {MS_NODEV, MOUNT_ATTR_NODEV},
      {MS_NOEXEC, MOUNT_ATTR_NOEXEC}, {MS_NOATIME, MOUNT_ATTR_NOATIME}, {MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
      {MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
  };
  unsigned attr = 0;
  for (size_t i = 0; i < sizeof MAP / sizeof *MAP; i++)
    if (ms & MAP[i].ms) attr |= (unsigned)MAP[i].attr;
  return attr;
}

/* A value in quotes may hold commas (an SELinux label does); mount(2) takes the quotes away, fsconfig(2) does not. */
static int set_option(int context, char *option) {
  char *value = strchr(option, '=');
  if (!value) return check(fsconfig(context, FSCONFIG_SET_FLAG, option, NULL, 0));
  *value++ = 0;
  size_t len = strlen(value);
  if (len > 1 && value[0] == '"' && value[len - 1] == '"') value[len - 1] = 0, value++;
  return check(fsconfig(context, FSCONFIG_SET_STRING, option, value, 0));
}

/* The next of the options that a comma parts, as strsep gives them; one in quotes ends no option. */
static char *next_option(char **rest) {
  char *start = *rest, *p = start;
  if (!start) return NULL;
  for (bool quoted = false; *p && (quoted || *p != ','); p++)
    if (*p == '"') quoted = !quoted;
  *rest = *p ? p + 1 : NULL;
  *p = 0;
  return start;
}

/* A filesystem of this type, mounted nowhere. `data` is what mount(8) has after -o. */
static int filesystem(struct run *run, const char *type, const char *source, const char *data, uint64_t flags) {
  char options[4096];
  if (strlen(data) >= sizeof options) return -E2BIG;
  strcpy(options, data);
  closing context = check(fsopen(type, FSOPEN_CLOEXEC));
  if (context < 0) return context;
  int error = *source ? check(fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0)) : 0;
  for (char *rest = options, *option; error >= 0 && (option = next_option(&rest));)
    if (*option) error = set_option(context, option);
  if (error >= 0 && flags & MS_SYNCHRONOUS) error = check(fsconfig(context, FSCONFIG_SET_FLAG, "sync", NULL, 0));
  if (error >= 0 && flags & MS_DIRSYNC) error = check(fsconfig(context, FSCONFIG_SET_FLAG, "dirsync", NULL, 0));
  if (error >= 0) error = check(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
  int mount = error < 0 ? error : check(fsmount(context, FSMOUNT_CLOEXEC, attributes_of(flags)));
  if (mount < 0) kernel_words(run, context);
  return mount;
}

/* The network namespace of a process by its pid in the host's /proc, which is there until the root is changed; 0: one's own. */
static int network_of(pid_t pid) {
  char path[40];
  struct text name = text_in(path, sizeof path);
  put(&name, "/proc/");
  if (pid) put_number(&name, (uint64_t)pid);
  else put(&name, "self");
  put(&name, "/ns/net");
  put_bytes(&name, "", 1);
  return check(open(path, O_RDONLY | O_CLOEXEC));
}

/*
 * A filesystem that speaks with a server does so from the network namespace in which it is made: the keeper's, as that of any
 * mount of the machine. A container's own is not up yet, and need not reach that server. If the way back fails, so does the step.
 */
static int filesystem_abroad(struct run *run, const struct arg *a) {
  prctl(PR_SET_DUMPABLE, 0);
  int own = network_of(0), theirs = own < 0 ? own : network_of(run->keeper);
  int mount = theirs < 0 ? theirs : check(setns(theirs, CLONE_NEWNET));
  if (mount >= 0) {
    mount = filesystem(run, a[0].s, a[1].s, a[4].s, a[3].n);
    int error = check(setns(own, CLONE_NEWNET));
    if (error < 0 && mount >= 0) close(mount);
    if (error < 0) mount = error;
  }
  if (own >= 0) close(own);
  if (theirs >= 0) close(theirs);
  return mount;
}

/* Of a tmpfs that names none: the mode of the folder that it covers (an image's /tmp stays 1777, its /home/x 0755). */
static void add_mode(int target, char *data, size_t size) {
  struct stat st;
  if (fstat(target, &st) < 0) return;
  char digits[] = "mode=0000";
  for (int i = 0; i < 4; i++) digits[8 - i] = (char)('0' + (st.st_mode >> 3 * i & 7));
  size_t len = strlen(data);
  if (len + sizeof digits + 1 > size) return;
  if (len) strcat(data, ",");
  strcat(data, digits);
}

/* proc and sysfs are mounted only on real folders: a symlink there would let an image choose what is written later. */
static bool is_link(struct run *run, const char *path) {
  struct stat st;
  closing fd = beneath(run, path, O_NOFOLLOW);
  return fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

int op_mount(struct run *run, const struct arg *a) {
  const char *type = a[0].s, *source = a[1].s, *path = a[2].s;
  uint64_t flags = a[3].n;
  bool proc = !strcmp(type, "proc"), kernel = proc || !strcmp(type, "sysfs");
  char data[4096];
  if (a[4].len >= sizeof data) return -E2BIG;
  strcpy(data, a[4].s);
  if (kernel && is_link(run, path)) return detail(run, "it is a symbolic link in the image", ""), -ENOTDIR;
  bool modeless = !strcmp(type, "tmpfs") && !strstr(data, "mode=");
  /* One that covers nothing is everybody's, as the kernel has it; its folder says so to the next start. */
  closing target = make(run, path, (enum create)a[5].n, modeless ? 01777 : 0755, NULL);
  if (target < 0) return target;
  if (modeless) add_mode(target, data, sizeof data);
  closing mount = a[9].n ? filesystem_abroad(run, a) : filesystem(run, type, source, data, flags);
  if (a[7].n && (mount == -EINVAL || mount == -EPERM)) {
    *run->shared->detail = 0; /* what the kernel said of the first is no word on what comes after */
    mount = filesystem(run, type, source, a[8].s, flags);
  }
  int error = mount < 0 ? mount : 0;
  if (!error && a[6].n) error = copy_tree(target, mount);
  if (!error) error = move_onto(mount, target);
  /* Kept for `proc` steps: the container's own procfs, before anything is bound over parts of it. */
  if (!error && proc && run->procfs < 0) run->procfs = clone_mount(mount, "", false);
  return error;
}

int op_propagation(struct run *run, const struct arg *a) {
  return check(mount(NULL, a[1].s, NULL, (unsigned long)a[0].n, NULL));
}

/* ---- overlay */

/*
 * A folder's name for overlayfs. fsconfig takes at most 255 bytes, so a longer one goes by a fd; its name in /proc is
 * good until the mount exists.
 */
static const char *layer_name(const char *path, char *name, int *fd) {
  if (strlen(path) < 256) return path;
  *fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (*fd < 0) return path;
  struct text t = text_in(name, 63);
  put(&t, "/proc/self/fd/");
  put_number(&t, (uint64_t)*fd);
  return name;
}

static int set_layer(int context, const char *key, const char *path) {
  char name[64];
  closing fd = -1;
  return check(fsconfig(context, FSCONFIG_SET_STRING, key, layer_name(path, name, &fd), 0));
}

static int overlay_by_context(struct run *run, const struct arg *a) {
  closing context = check(fsopen("overlay", FSOPEN_CLOEXEC));
  if (context < 0) return context;
  int error = check(fsconfig(context, FSCONFIG_SET_STRING, "source", "overlay", 0));
  for (uint32_t i = 0; i < a[1].len && error >= 0; i++) error = set_layer(context, "lowerdir+", a[1].list[i]);
  if (error < 0) return error == -EINVAL ? -ENOSYS : error; /* a kernel before 6.7 knows no `lowerdir+` … */
  if (a[2].len && error >= 0) error = set_layer(context, "upperdir", a[2].s);
  if (a[2].len && error >= 0) error = set_layer(context, "workdir", a[3].s);
  for (uint32_t i = 0; i < a[4].len && error >= 0; i++) {
    char option[256];
    if (strlen(a[4].list[i]) >= sizeof option) error = -E2BIG;
    else error = set_option(context, strcpy(option, a[4].list[i]));
  }
  if (error >= 0) error = check(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
  if (error == -EINVAL) return -ENOSYS; /* … and one before 6.5 says so only here */
  closing mount = error < 0 ? error : check(fsmount(context, FSMOUNT_CLOEXEC, 0));
  if (mount < 0) return kernel_words(run, context), mount;
  closing target = check(open(a[0].s, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return target < 0 ? target : move_onto(mount, target);
}

/*
 * mount(2) takes one page of options. With /proc/self/fd as the working folder a layer's name is its fd's number, so
 * a page holds all that overlayfs takes.
 */
static int overlay_by_page(const struct arg *a) {
  enum { LAYERS = 500 };
  int fds[LAYERS + 2], count = 0, error = check(chdir("/proc/self/fd"));
  uint32_t lower = a[1].len, all = a[2].len ? lower + 2 : lower;
  char data[4096];
  struct text t = text_in(data, sizeof data);
  if (lower > LAYERS) return -E2BIG;
  put(&t, "lowerdir=");
  for (uint32_t i = 0; i < all && error >= 0; i++) {
    const char *path = i < lower ? a[1].list[i] : i == lower ? a[2].s : a[3].s;
    int fd = error = check(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) break;
    fds[count++] = fd;
    if (i >= lower) put(&t, i == lower ? ",upperdir=" : ",workdir=");
    else if (i > 0) put(&t, ":");
    put_number(&t, (uint64_t)fd);
  }
  for (uint32_t i = 0; i < a[4].len; i++) put(&t, ","), put(&t, a[4].list[i]);
  if (error >= 0) error = t.full ? -E2BIG : check(mount("overlay", a[0].s, "overlay", 0, data));
  while (count > 0) close(fds[--count]);
  return check(chdir("/")) < 0 ? -errno : error;
}

int op_overlay(struct run *run, const struct arg *a) {
  int error = overlay_by_context(run, a);
  return error == -ENOSYS ? overlay_by_page(a) : error;
}

/* ---- binds */

/*
 * A user namespace with these maps, for an id-mapped mount. It needs a process for a moment. That process may be in a
 * pid namespace whose numbers this /proc does not use, so it says itself how /proc calls it.
 */
static int mapped_userns(const char *uids, const char *gids) {
  int line[2], userns = -1;
  char path[64] = "/proc/";
  if (pipe2(line, O_CLOEXEC) < 0) return -errno;
  long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    char self[16];
    ssize_t n = readlink("/proc/self", self, sizeof self);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(line[0]); /* a maker that died before this leaves nobody to write to */
    if (n > 0) write_all(line[1], self, (size_t)n);
    for (;;) pause();
  }
  close(line[1]); /* if it dies the line ends */
  ssize_t n = pid < 0 ? -1 : read(line[0], path + 6, 16);
  int error = pid < 0 ? -errno : n <= 0 ? -ESRCH : 0;
  static const char *const FILES[] = {"/uid_map", "/gid_map", "/ns/user"};
  for (int i = 0; i < 3 && !error; i++) {
    strcpy(path + 6 + n, FILES[i]);
    int fd = open(path, (i < 2 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    const char *map = i == 0 ? uids : gids;
    if (fd < 0 || (i < 2 && write(fd, map, strlen(map)) < 0)) error = -errno;
    if (i == 2) userns = fd;
    else if (fd >= 0) close(fd);
  }
  if (pid > 0) kill((pid_t)pid, SIGKILL), waitpid((pid_t)pid, NULL, 0);
  close(line[0]);
  return error ? error : userns;
}

/* The source of a bind that must not leave its base, and whether it is a folder: that is what its target has to be. */
static int source_beneath(const char *base, const char *source, enum create *create) {
  struct stat st;
  closing folder = check(open(base, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (folder < 0) return folder;
  int fd = open_beneath(folder, source, O_PATH, false);
  if (fd >= 0 && *create != CREATE_NOTHING && fstat(fd, &st) == 0) *create = S_ISDIR(st.st_mode) ? CREATE_DIR : CREATE_FILE;
  return fd;
}

int op_bind(struct run *run, const struct arg *a) {
  bool in_root = a[0].n, from_root = a[1].n, recursive = a[4].n, attributes_recursive = a[7].n, based = a[12].len;
  const char *source = a[2].s, *path = a[3].s;
  uint64_t set = a[5].n, clear = a[6].n, propagation = a[9].n;
  enum create create = (enum create)a[8].n;
  int error = 0;
  closing userns = -1, from = -1;
  if (from_root && (from = beneath(run, source, 0)) < 0) return from;
  if (based && (from = source_beneath(a[12].s, source, &create)) < 0) return detail(run, "its source ", source), from;
  closing mount = from >= 0 ? clone_mount(from, "", recursive) : clone_mount(AT_FDCWD, source, recursive);
  if (mount < 0) return detail(run, "its source ", source), mount;
  if (a[10].len) {
    userns = mapped_userns(a[10].s, a[11].s);
    if (userns < 0) error = userns;
    set |= MOUNT_ATTR_IDMAP;
  }
  if (!error && (set || clear)) error = set_attributes(mount, attributes_recursive, set, clear, 0, userns);
  if (!error) {
    closing target = in_root ? make(run, path, create, 0755, NULL) : check(open(path, O_PATH | O_CLOEXEC));
    error = target < 0 ? target : move_onto(mount, target);
  }
  /* After the move, which would have made it a peer of a shared parent. */
  if (!error && propagation) error = set_attributes(mount, propagation & MS_REC, 0, 0, propagation & ~(uint64_t)MS_REC, -1);
  return error;
}

int op_attributes(struct run *run, const struct arg *a) {
  closing fd = beneath(run, a[0].s, 0);
  if (fd < 0) return fd;
  bool recursive = a[3].n || a[4].n & MS_REC;
  return set_attributes(fd, recursive, a[1].n, a[2].n, a[4].n & ~(uint64_t)MS_REC, -1);
}

static bool absent(int error) { return error == -ENOENT || error == -ENOTDIR; }

/* The host's /dev/null, once and verified: an image may have put anything at its own (CVE-2025-31133). */
static int null_device(struct run *run) {
  struct stat st;
  if (run->null >= 0) return run->null;
  int fd = check(open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (fd < 0) return fd;
  if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) return close(fd), -ENODEV;
  return run->null = fd;
}

/* The first folder that is masked gets a read-only tmpfs, the others clones of it: one superblock a container. */
static int empty_folder(struct run *run) {
  if (run->empty >= 0) return clone_mount(run->empty, "", false);
  return run->empty = filesystem(run, "tmpfs", "tmpfs", "size=0,nr_inodes=2,mode=755", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

/* A device is written through a read-only mount all the same, but its inode is the host's: who owns it, and its mode, stay. */
static int null_file(struct run *run) {
  int null = null_device(run), mount = null < 0 ? null : clone_mount(null, "", false);
  int error = mount < 0 ? mount : set_attributes(mount, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, 0, -1);
  if (mount >= 0 && error) close(mount);
  return error ? error : mount;
}

int op_mask(struct run *run, const struct arg *a) {
  struct stat st;
  closing target = beneath(run, a[0].s, 0);
  if (target < 0) return absent(target) ? 0 : target;
  int error = check(fstat(target, &st));
  int mount = error ? error : S_ISDIR(st.st_mode) ? empty_folder(run) : null_file(run);
  error = mount < 0 ? mount : move_onto(mount, target);
  if (mount >= 0 && mount != run->empty) close(mount);
  return error;
}

int op_readonly(struct run *run, const struct arg *a) {
  closing target = beneath(run, a[0].s, 0);
  if (target < 0) return absent(target) ? 0 : target;
  closing mount = clone_mount(target, "", true);
  int error = mount < 0 ? mount : set_attributes(mount, true, MOUNT_ATTR_RDONLY, 0, 0, -1);
  return error ? error : move_onto(mount, target);
}
