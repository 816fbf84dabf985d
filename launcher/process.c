/*
 * The process itself: which namespaces it is in, who it is, what it may, and what it becomes. The order of these calls
 * is the plan's; each comment says what would go wrong elsewhere.
 */
#include "sampan.h"
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* ---- namespaces */

/* A process to join: by its pidfd or, where its pid means nothing here, by its folder in the host's /proc. */
struct target {
  int pidfd, folder;
};

static const char *namespace_file(unsigned flag) {
  switch (flag) {
    case CLONE_NEWNS: return "ns/mnt";
    case CLONE_NEWUTS: return "ns/uts";
    case CLONE_NEWIPC: return "ns/ipc";
    case CLONE_NEWUSER: return "ns/user";
    case CLONE_NEWPID: return "ns/pid";
    case CLONE_NEWNET: return "ns/net";
    case CLONE_NEWCGROUP: return "ns/cgroup";
    default: return "ns/time";
  }
}

static int join_one(struct target t, unsigned flag) {
  if (t.pidfd >= 0) return check(setns(t.pidfd, (int)flag));
  closing fd = check(openat(t.folder, namespace_file(flag), O_RDONLY | O_CLOEXEC));
  return fd < 0 ? fd : check(setns(fd, (int)flag));
}

/*
 * One setns for all: the kernel enters the user namespace first, which is right for a caller that has its rights only
 * there. Where that is refused (a network namespace that the host's user namespace owns) others come before user, and
 * what failed is tried again from inside it.
 */
static int join_all(struct target t, unsigned flags) {
  int error = -EPERM;
  if (t.pidfd >= 0) {
    error = check(setns(t.pidfd, (int)flags));
    if (error == 0 || error != -EPERM || !(flags & CLONE_NEWUSER)) return error;
  }
  unsigned again = 0;
  for (unsigned bit = 1u << 7; bit; bit <<= 1) {
    if (!(flags & bit) || bit == CLONE_NEWUSER) continue;
    error = join_one(t, bit);
    if (error < 0 && !(flags & CLONE_NEWUSER)) return error;
    if (error < 0) again |= bit;
  }
  if (flags & CLONE_NEWUSER && (error = join_one(t, CLONE_NEWUSER)) < 0) return error;
  for (unsigned bit = 1u << 7; bit; bit <<= 1)
    if (again & bit && (error = join_one(t, bit)) < 0) return error;
  return 0;
}

int op_join(struct run *run, const struct arg *a) {
  pid_t pid = (pid_t)a[0].n;
  unsigned flags = (unsigned)a[2].n;
  /* Before anything of this process can be seen from in there (CVE-2016-9962). */
  prctl(PR_SET_DUMPABLE, 0);
  run->joined = true;
  forget_root(run);
  if (pid == 0) return join_all((struct target){FD_CONTAINER, -1}, flags);
  struct target t = {check(pidfd_open(pid, 0)), -1};
  if (t.pidfd == -ESRCH) {
    /* The pid is the host's, and a child in a pid namespace of its own has no name for it; the host's /proc has. */
    t.folder = open_process(pid, "", O_PATH | O_DIRECTORY);
    if (t.folder < 0) return -ESRCH;
  } else if (t.pidfd < 0) {
    return t.pidfd;
  }
  /* The start time is read after the process was opened: if it is right, the pid was not reused before. */
  int error = process_start(pid) == a[1].n ? join_all(t, flags) : -ESRCH;
  close(t.pidfd >= 0 ? t.pidfd : t.folder);
  return error;
}

int op_setns(struct run *run, const struct arg *a) {
  prctl(PR_SET_DUMPABLE, 0);
  run->joined = true;
  forget_root(run);
  closing fd = check(open(a[0].s, O_RDONLY | O_CLOEXEC));
  return fd < 0 ? fd : check(setns(fd, (int)a[1].n));
}

int op_unshare(struct run *run, const struct arg *a) {
  forget_root(run);
  return check(unshare((int)a[0].n));
}

int op_hostname(struct run *run, const struct arg *a) {
  return check(sethostname(a[0].s, a[0].len));
}

int op_domainname(struct run *run, const struct arg *a) {
  return check(setdomainname(a[0].s, a[0].len));
}

/* ---- /proc */

static int is_proc(int fd) {
  struct statfs fs;
  if (fd < 0) return fd;
  if (fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC) return fd;
  close(fd);
  return -ENODEV;
}

/*
 * A procfs that no image can have built: the one just mounted, before anything was bound over it, or a new one that is
 * mounted nowhere. In a user namespace that may be refused; then the root's own, after a look at its superblock.
 */
static int private_proc(struct run *run) {
  if (run->procfs >= 0) return run->procfs;
  closing context = fsopen("proc", FSOPEN_CLOEXEC);
  int mount = -1;
  if (context >= 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
  if (mount < 0) mount = is_proc(beneath(run, "/proc", O_DIRECTORY));
  return run->procfs = mount;
}

static int open_proc(int procfs, const char *path) {
  /* NO_XDEV: nothing that was bound over a part of it. Its symlinks are the kernel's own. */
  struct open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS};
  return check(syscall(SYS_openat2, procfs, path, &how, sizeof how));
}

int op_proc(struct run *run, const struct arg *a) {
  int procfs = private_proc(run);
  if (procfs < 0) return procfs;
  closing fd = open_proc(procfs, a[0].s);
  if (fd == -EACCES && !run->joined && !strncmp(a[0].s, "self/", 5)) {
    /* Its own files are the host's root's while it is not dumpable; alone in its namespaces it may be for a moment. */
    prctl(PR_SET_DUMPABLE, 1);
    fd = open_proc(procfs, a[0].s);
    prctl(PR_SET_DUMPABLE, 0);
  }
  if (fd < 0) return fd;
  return write(fd, a[1].s, a[1].len) < 0 ? -errno : 0;
}

/* ---- stdio */

int op_setsid(struct run *run, const struct arg *a) {
  return check(setsid()) < 0 ? -errno : 0;
}

static bool is_null(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/*
 * Nothing to read, as the container's own. Through a descriptor of the host's /dev/null a container's root could change whose
 * that is and its mode. What is not the null device is not opened: opening alone makes some devices act.
 */
static int nothing(struct run *run) {
  int pipe[2];
  closing place = beneath(run, "/dev/null", 0);
  if (place >= 0 && is_null(place)) {
    int fd = beneath(run, "/dev/null", O_RDWR | O_NOCTTY);
    if (fd >= 0 && is_null(fd)) return fd;
    if (fd >= 0) close(fd);
  }
  if (pipe2(pipe, O_CLOEXEC) < 0) return -errno;
  close(pipe[1]);
  return pipe[0];
}

int op_stdio(struct run *run, const struct arg *a) {
  if (run->tty && run->slave < 0) return -ENOTTY;
  closing none = !run->tty && is_null(FD_STDIN) ? nothing(run) : -EBADF;
  if (none < 0 && none != -EBADF) return none;
  for (int fd = 0; fd < 3; fd++)
    if (dup2(run->tty ? run->slave : fd == 0 && none >= 0 ? none : FD_STDIN + fd, fd) < 0) return -errno;
  return run->tty ? check(ioctl(0, TIOCSCTTY, 0)) : 0;
}

/* ---- limits and rights */

int op_rlimit(struct run *run, const struct arg *a) {
  struct rlimit now, limit = {.rlim_cur = a[1].n, .rlim_max = a[2].n};
  int resource = (int)a[0].n;
  if (setrlimit(resource, &limit) == 0) return 0;
  int error = -errno;
  if (error != -EPERM || !a[3].n || getrlimit(resource, &now) < 0) return error;
  if (limit.rlim_max > now.rlim_max) limit.rlim_max = now.rlim_max;
  if (limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
  return check(setrlimit(resource, &limit));
}

int op_keyring(struct run *run, const struct arg *a) {
  enum { JOIN_SESSION_KEYRING = 1 };
  return check(syscall(SYS_keyctl, JOIN_SESSION_KEYRING, a[0].s)) < 0 ? -errno : 0;
}

int op_bounding(struct run *run, const struct arg *a) {
  for (unsigned cap = 0; cap < 64; cap++) {
    if (a[0].n >> cap & 1) continue;
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) break; /* past the last that this kernel knows */
    return -errno;
  }
  return 0;
}

int op_user(struct run *run, const struct arg *a) {
  uid_t uid = (uid_t)a[0].n;
  gid_t gid = (gid_t)a[1].n;
  /* Its terminal is its own, so that it can be opened by name. Refused where the id is not mapped, and then moot. */
  if (run->slave >= 0) check(fchown(run->slave, uid, (gid_t)-1));
  /* Where setgroups is denied (a user namespace of one id) there is none to drop that could be dropped. */
  if (syscall(SYS_setgroups, a[2].len, a[2].numbers) < 0 && !(errno == EPERM && a[2].len == 0)) return -errno;
  if (prctl(PR_SET_KEEPCAPS, 1) < 0) return -errno;
  if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) return -errno;
  /* A change of ids clears the signal that would have come of it. */
  return die_with_keeper(run);
}

int op_capabilities(struct run *run, const struct arg *a) {
  uint64_t effective = a[0].n, permitted = a[1].n, inheritable = a[2].n, ambient = a[3].n;
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
      {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
  };
  if (syscall(SYS_capset, &head, data) < 0) return -errno;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned cap = 0; cap < 64; cap++)
    if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0) return -errno;
  return 0;
}

int op_no_new_privs(struct run *run, const struct arg *a) {
  return check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

int op_pdeathsig(struct run *run, const struct arg *a) {
  run->pdeathsig = (int)a[0].n;
  return die_with_keeper(run);
}

int op_umask(struct run *run, const struct arg *a) {
  umask((mode_t)a[0].n);
  run->umask_set = true;
  return 0;
}

int op_chdir(struct run *run, const struct arg *a) {
  char here[4096];
  if (chdir(a[0].s) < 0) return -errno;
  /* A folder outside of the root reads "(unreachable)/…": a descriptor of the host was the way there (CVE-2024-21626). */
  long n = syscall(SYS_getcwd, here, sizeof here);
  if (n < 0) return -errno;
  if (here[0] != '/') return detail(run, "the folder is outside of the container's root", ""), -EXDEV;
  return 0;
}

static void close_on_exec(struct run *run) {
  /* Not closed: until execve has worked, the socketpair's end is how the keeper learns of it. */
  if (!run->sealed_fds) close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  run->sealed_fds = true;
}

int op_seccomp(struct run *run, const struct arg *a) {
  uint32_t count = a[0].len / sizeof(struct sock_filter);
  if (a[0].len % sizeof(struct sock_filter) || count == 0 || count > BPF_MAXINSNS) return -EINVAL;
  struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)a[0].b};
  close_on_exec(run); /* a strict filter may not allow it later */
  if (!run->umask_set) umask(022), run->umask_set = true;
  return check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned)a[1].n, &program)) < 0 ? -errno : 0;
}

/* ---- becoming the program */

int op_init(struct run *run, const struct arg *a) {
  sigset_t all, before;
  sigfillset(&all);
  /* Before the fork: a SIGCHLD that came between fork and mask would be lost, and init would wait for ever. */
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t pid = fork();
  if (pid > 0) init_main(pid);
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (pid < 0) return -errno;
  /* A group of its own in the foreground: Ctrl-C then reaches the program once, from the terminal, not also by init. */
  setpgid(0, 0);
  signal(SIGTTOU, SIG_IGN);
  pid_t group = getpid();
  if (run->tty) ioctl(0, TIOCSPGRP, &group);
  signal(SIGTTOU, SIG_DFL);
  return check(prctl(PR_SET_PDEATHSIG, SIGKILL));
}

int op_execve(struct run *run, const struct arg *a) {
  int denied = -1, error = -ENOENT;
  uint32_t i = 0;
  close_on_exec(run);
  if (!run->umask_set) umask(022);
  for (; i < a[0].len; i++) {
    execve(a[0].list[i], a[1].list, a[2].list);
    error = -errno;
    if (error == -EACCES && denied < 0) denied = (int)i;
    else if (error != -EACCES && error != -ENOENT && error != -ENOTDIR) break;
  }
  bool found = i < a[0].len;
  if (!found && denied >= 0) i = (uint32_t)denied, error = -EACCES;
  else if (!found && a[0].len > 1) i = a[0].len - 1, error = -ENOENT;
  else if (!found) i = 0;
  detail(run, a[0].list[i], "");
  return error;
}
