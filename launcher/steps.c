/*
 * Executes a program. The keeper walks the outside column, its child the inside one; they meet at barriers over a
 * socketpair, whose end means that the other side is gone:
 *
 *   keeper                                    child
 *   clone ──────────────────────────────────▶ born
 *   write cgroup.procs, uid_map …             mounts …
 *   barrier (waits: inside) ── its number ──▶ goes on: the maps are written
 *        …                                    console ── pty master (SCM_RIGHTS) ──▶ kept
 *   reads the end of the socketpair ◀──────── execve (the fd closes), or its errno in the shared page and _exit
 *
 * Times and errnos go into a page both map, so that a step costs two clock readings and no message.
 */
#include "sampan.h"
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int (*const HANDLER[])(struct run *, const struct arg *) = {
#define OP_ENTRY(name, operands, columns) op_##name,
    EVERY_OP(OP_ENTRY)};

size_t shared_size(uint32_t steps) { return sizeof(struct shared) + steps * sizeof(struct result); }

void detail(struct run *run, const char *a, const char *b) {
  if (*run->shared->detail) return;
  struct text t = text_in(run->shared->detail, sizeof run->shared->detail);
  put(&t, a);
  put_bytes(&t, b, strnlen(b, (size_t)(t.end - t.at)));
}

static void note(struct run *run, uint32_t i, uint64_t from, int result) {
  uint64_t now = now_us();
  run->shared->results[i] =
      (struct result){.us = (uint32_t)(now - from), .at = (uint32_t)(now - run->born), .error = result < 0 ? (uint32_t)-result : 0};
}

/* For fault tests. SIGSTOP does nothing to pid 1 of a pid namespace, so a child just never goes on. */
static void stop_here(struct run *run) {
  while (run->child) pause();
  kill(getpid(), SIGSTOP);
}

static int perform(struct run *run, uint32_t i) {
  const struct step *s = &run->program->steps[i];
  uint64_t from = now_us();
  int result = HANDLER[s->op](run, s->args);
  note(run, i, from, result);
  /* A clone returns twice; its step is the maker's. */
  if (run->stop_after == i + 1 && run->child == (s->column == INSIDE)) stop_here(run);
  if (result < 0 && s->optional && run->shared->failed == NO_STEP) *run->shared->detail = 0;
  if (result >= 0 || s->optional) return 0;
  /* Where both columns fail the first did on its own, and the other of it: an address for a child that is gone. */
  uint32_t none = NO_STEP;
  if (__atomic_compare_exchange_n(&run->shared->failed, &none, i, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    run->shared->error = (uint32_t)-result;
  return result;
}

/* The next number that the other side sends; false when it is gone. A pty master that rides along is kept. */
static bool hear(struct run *run, uint32_t *number) {
  for (;;) {
    union {
      struct cmsghdr head;
      char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {number, sizeof *number};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(run->peer, &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n != sizeof *number) return false;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (!c || c->cmsg_type != SCM_RIGHTS) return true;
    memcpy(&run->master, CMSG_DATA(c), sizeof run->master);
  }
}

/* A column reaches a barrier: the one that waits hears the other's number. EPIPE: the other side died. */
static int meet(struct run *run, uint32_t i) {
  bool child_waits = run->program->steps[i].args[0].n == 0;
  uint64_t from = now_us();
  uint32_t number = i;
  if (run->child != child_waits) return send(run->peer, &number, sizeof number, MSG_NOSIGNAL) < 0 ? -EPIPE : 0;
  int result = hear(run, &number) && number == i ? 0 : -EPIPE;
  note(run, i, from, result);
  /* From its first barrier on a child's id maps are written, and nothing of the host need look into it. */
  if (run->child) prctl(PR_SET_DUMPABLE, 0);
  return result;
}

/* A barrier is met by the clone, not here: it stands in the table because every call does. */
int op_barrier(struct run *run, const struct arg *a) { return 0; }

/*
 * What the keeper said before it died may still lie in a socketpair that has hung up, so that is asked for and not read.
 * Behind a filter it is not asked: a strict one may kill whoever polls.
 */
int die_with_keeper(struct run *run) {
  struct pollfd line = {run->peer, POLLRDHUP, 0};
  if (prctl(PR_SET_PDEATHSIG, run->pdeathsig) < 0) return -errno;
  if (!run->sealed_fds && poll(&line, 1, 0) > 0 && line.revents & (POLLHUP | POLLRDHUP)) _exit(1);
  return 0;
}

__attribute__((noreturn)) static void run_inside(struct run *run, uint32_t from) {
  for (uint32_t i = from; i < run->program->count; i++) {
    const struct step *s = &run->program->steps[i];
    if (s->op == OP_execve) {
      run->shared->at_execve = i;
      run->shared->results[i].at = (uint32_t)(now_us() - run->born);
    }
    if (s->op == OP_barrier) {
      if (meet(run, i) < 0) _exit(1);
    } else if (s->column == INSIDE && perform(run, i) < 0) {
      _exit(1);
    }
  }
  _exit(0); /* a program without execve, such as one that only changes a namespace */
}

static void begin_child(struct run *run, int peer) {
  run->child = true;
  run->pdeathsig = SIGKILL;
  /* Dispositions that ignore would outlive execve; the keeper ignores these (main.c). */
  keeper_signals(SIG_DFL);
  if (peer != FD_PEER) dup3(peer, FD_PEER, O_CLOEXEC);
  run->peer = FD_PEER;
  /* No fd of the keeper's comes along into a container: not the lock, the log, a client (CVE-2016-9962, CVE-2024-21626). */
  close_range(FD_CLIENT, FD_PEER - 1, 0);
  close_range(FD_FREE, ~0U, 0);
  die_with_keeper(run);
}

static int clone_outside(struct run *run, const struct arg *a) {
  int pair[2];
  closing cgroup = -1;
  uint64_t flags = a[0].n;
  if (a[1].len && (cgroup = open(a[1].s, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) return -errno;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
  /* The files in /proc of a process that is not dumpable are root's, and a caller who is not root writes uid_map there. */
  if (flags & CLONE_NEWUSER) prctl(PR_SET_DUMPABLE, 1);
  struct clone_args args = {
      .flags = flags | CLONE_PIDFD | CLONE_PARENT_SETTID | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
      .pidfd = (uintptr_t)&run->pidfd,
      .parent_tid = (uintptr_t)&run->shared->pid,
      .exit_signal = SIGCHLD,
      .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
  };
  run->keeper = getpid();
  long pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) {
    cgroup = -1; /* closed with all others */
    begin_child(run, pair[1]);
    return 0;
  }
  int error = pid < 0 ? -errno : 0;
  if (flags & CLONE_NEWUSER) prctl(PR_SET_DUMPABLE, 0);
  close(pair[1]);
  if (error) return close(pair[0]), error;
  run->pid = (pid_t)pid;
  run->peer = pair[0];
  return 0;
}

/*
 * A pid namespace that was joined holds only children born later. The sibling that takes over is the keeper's own
 * child; the kernel writes its pid, in the keeper's terms, into the shared page before it first runs.
 */
static int clone_inside(struct run *run, const struct arg *a) {
  struct clone_args args = {
      .flags = a[0].n | CLONE_PARENT | CLONE_PARENT_SETTID,
      .parent_tid = (uintptr_t)&run->shared->pid,
  };
  uint64_t mono = now_us(), real = clock_ns() / 1000;
  long pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) return -errno;
  if (pid > 0) _exit(0);
  /* In a time namespace the clock that steps are timed by may be another; the time of day is everybody's. */
  run->born += (now_us() - mono) - (clock_ns() / 1000 - real);
  if (run->procfs >= 0) close(run->procfs), run->procfs = -1; /* of the pid namespace before */
  die_with_keeper(run);
  return 0;
}

int op_clone(struct run *run, const struct arg *a) {
  return run->child ? clone_inside(run, a) : clone_outside(run, a);
}

/* Unreaped, so the pid is still its own. */
static void end_child(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

static void kill_child(struct run *run) {
  if (run->pid <= 0) return;
  end_child(run->pid);
  if (run->shared->pid != run->pid) end_child(run->shared->pid);
  if (run->pidfd >= 0) close(run->pidfd);
  run->pid = 0;
  run->pidfd = -1;
}

static bool executes(const struct program *p) {
  for (uint32_t i = 0; i < p->count; i++)
    if (p->steps[i].op == OP_execve) return true;
  return false;
}

/* The child has executed, failed or died: the socketpair has ended. */
static int conclude(struct run *run) {
  struct shared *shared = run->shared;
  uint32_t number;
  while (hear(run, &number)) continue;
  close(run->peer);
  run->peer = -1;
  if (shared->failed != NO_STEP) return -(int)shared->error;
  uint32_t last = shared->at_execve;
  if (last != NO_STEP) {
    struct result *r = &shared->results[last];
    uint32_t end = (uint32_t)(now_us() - run->born);
    *r = (struct result){.us = end - r->at, .at = end};
  } else if (executes(run->program)) {
    detail(run, "the process was killed before it could execute its program", "");
    return -ESRCH;
  }
  if (shared->pid != run->pid) { /* replaced by a sibling */
    while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR) continue;
    close(run->pidfd);
    run->pid = shared->pid;
    run->pidfd = check(pidfd_open(run->pid, 0));
    if (run->pidfd < 0) return run->pidfd;
  }
  return 0;
}

int run_outside(struct run *run) {
  const struct program *p = run->program;
  struct shared *shared = run->shared;
  memset(shared, 0, sizeof *shared);
  shared->failed = shared->at_execve = NO_STEP;
  for (uint32_t i = 0; i < p->count; i++) shared->results[i] = (struct result){UNREACHED, UNREACHED, 0};
  run->pid = 0;
  run->pidfd = run->peer = run->master = run->companion = -1;
  run->root = run->procfs = run->null = run->empty = run->slave = -1;
  int error = 0;
  for (uint32_t i = 0; i < p->count && !error; i++) {
    const struct step *s = &p->steps[i];
    if (s->op == OP_barrier && run->pid) error = meet(run, i);
    else if (s->op != OP_barrier && s->column == OUTSIDE) error = perform(run, i);
    if (run->child) run_inside(run, i + 1);
  }
  bool child_first = error && shared->failed != NO_STEP && p->steps[shared->failed].column == INSIDE;
  /* So too a barrier that met nobody: the child's own error tells more. */
  if (run->pid && (!error || child_first || (error == -EPIPE && run->peer >= 0))) {
    int first = conclude(run);
    if (first) error = first;
  }
  if (error && shared->failed == NO_STEP) shared->error = (uint32_t)-error;
  return error;
}

void run_abandon(struct run *run) {
  kill_child(run);
  if (run->peer >= 0) close(run->peer);
  if (run->master >= 0) close(run->master);
  run->peer = run->master = -1;
}

void run_after(struct run *run) {
  companion_end(run);
  for (uint32_t i = 0; i < run->program->count; i++) {
    const struct step *s = &run->program->steps[i];
    if (s->column != AFTER) continue;
    uint64_t from = now_us();
    note(run, i, from, HANDLER[s->op](run, s->args));
  }
}
