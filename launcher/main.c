/*
 * The launcher: executes a plan that it is handed on fd 3 and stays as the keeper of the process that came of it. As `put` it makes
 * files (put.c), as `elsewhere` it asks every process where it is (elsewhere.c).
 *
 * When main begins it normally runs from a read-only clone of its mount already: entry.c says why and how. A caller who
 * may not clone mounts is given a sealed copy in memory here.
 */
#include "keeper.h"
#include <linux/close_range.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

extern char **environ;

/* A file of a tmpfs has seals too, which say nothing there: its mount does, as of any other. */
static bool sealed(int exe) {
  struct statfs fs;
  int seals = fcntl(exe, F_GET_SEALS);
  if (seals >= 0 && seals & F_SEAL_WRITE) return true;
  return fstatfs(exe, &fs) == 0 && fs.f_flags & ST_RDONLY;
}

static int sealed_copy(int exe) {
  struct stat st;
  int copy = memfd_create("sampan-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10u /* MFD_EXEC */);
  if (copy < 0 && errno == EINVAL) copy = memfd_create("sampan-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (copy < 0 || fstat(exe, &st) < 0) return -1;
  for (off_t done = 0; done < st.st_size;)
    if (sendfile(copy, exe, &done, (size_t)(st.st_size - done)) <= 0) return -1;
  return fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ? -1 : copy;
}

static void seal(char **argv) {
  closing exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (exe < 0) complain("cannot open", "/proc/self/exe", errno), _exit(1);
  if (sealed(exe)) return;
  int safe = sealed_copy(exe);
  if (safe >= 0) syscall(SYS_execveat, safe, "", argv, environ, AT_EMPTY_PATH);
  complain("cannot execute itself from a sealed file", "", errno);
  _exit(1);
}

/* As if started by nobody: no signal, fd, session or working folder of the caller's comes along. */
static void stand_alone(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int s = 1; s < 65; s++) signal(s, SIG_DFL);
  /* A keeper ends when its container does, not with a terminal or a service; begin_child in steps.c undoes this. */
  keeper_signals(SIG_IGN);
  close_range(FD_CLIENT + 1, ~0U, 0);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) complain("cannot open", "/dev/null", errno), _exit(1);
  /* Every fixed number is taken from the start, so nothing else ever lands on one. */
  for (int fd = 0; fd < FD_FREE; fd++)
    if (fd != FD_CLIENT && (fd > 2 || fcntl(fd, F_GETFD) < 0)) dup3(null, fd, fd > 2 ? O_CLOEXEC : 0);
  if (null >= FD_FREE) close(null);
  fcntl(FD_CLIENT, F_SETFD, FD_CLOEXEC);
  setsid();
  umask(0);
  if (chdir("/") < 0) _exit(1);
}

__attribute__((noreturn)) static void refuse(const char *why) {
  static struct shared shared = {.failed = NO_STEP};
  complain("this is not a plan:", why, 0);
  struct text t = text_in(shared.detail, sizeof shared.detail);
  put(&t, why);
  record_report(FD_CLIENT, &shared, 0, 0, -EBADMSG);
  _exit(1);
}

static bool read_all(int fd, void *to, size_t len) {
  for (char *p = to; len > 0;) {
    ssize_t n = read(fd, p, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    len -= (size_t)n;
  }
  return true;
}

int main(int argc, char **argv) {
  seal(argv);
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NAME, "sampan-keeper");
  stand_alone();
  if (argc > 1 && !strcmp(argv[1], "put")) put_main();
  if (argc > 1 && !strcmp(argv[1], "elsewhere")) elsewhere_main(argv + 2);
  static struct plan plan;
  uint8_t head[HEADER];
  if (!read_all(FD_CLIENT, head, sizeof head) || head[0] != FRAME_PLAN) refuse("there is none on fd 3");
  uint32_t len = be32(head + 4);
  if (len > PLAN_MOST) refuse("it is larger than 64 MiB");
  /* All the memory there will be: allocated now, touched as far as it is used. */
  uint8_t *bytes = mapping(len + plan_arena(len), false);
  if (!bytes) refuse("there is no memory for it");
  if (!read_all(FD_CLIENT, bytes, len)) refuse("it ends too early");
  const char *wrong = plan_decode(&plan, bytes, len, bytes + ((len + 15) & ~15u));
  if (wrong) refuse(wrong);
  keep(&plan, FD_CLIENT);
}
