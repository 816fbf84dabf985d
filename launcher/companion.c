/*
 * A companion is a host program that serves the container as long as its process lives: without root, the one that
 * carries its packets. It must be ready before the process runs and gone before a restart makes the next, and a keeper
 * that is killed must not leave it behind. Such programs change their ids, which costs them the parent-death signal, so
 * a child of the keeper, the nurse, stands between:
 *
 *   keeper ── socketpair ── nurse ── the program, in the foreground
 *             "ready" ◀──            its end, or that of the socketpair: the nurse ends it, and itself
 */
#include "sampan.h"
#include <linux/close_range.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Above every fd that the keeper has at this time. */
enum { HIGH = 100 };

__attribute__((noreturn)) static void become(struct run *run, const struct arg *a, int ready, int said) {
  dup2(said, 2);
  if (ready >= 0) dup2(ready, 3); /* without close-on-exec */
  become_helper(run, a[0].list, a[0].len);
}

/* What it said last, when it would not serve: the report's detail. */
static int refusal(struct run *run, int said, const char *program) {
  char words[4096];
  ssize_t n = read(said, words, sizeof words);
  while (n > 0 && words[n - 1] == '\n') n--;
  if (n <= 0) return detail(run, program, " refused"), -ECANCELED;
  char *line = memrchr(words, '\n', (size_t)n);
  words[n < (ssize_t)sizeof words ? n : n - 1] = 0;
  return detail(run, line ? line + 1 : words, ""), -ECANCELED;
}

__attribute__((noreturn)) static void finish(int pidfd, pid_t pid) {
  pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
  waitpid(pid, NULL, 0);
  _exit(0);
}

__attribute__((noreturn)) static void nurse(struct run *run, const struct arg *a, int keeper, int fifo) {
  int ready[2] = {fifo, -1}, said[2], status = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
  /* Nobody's terminal or pipe is held open by what lives on. */
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  if (fifo < 0 && pipe2(ready, O_CLOEXEC) < 0) _exit(1);
  if (pipe2(said, O_CLOEXEC | O_NONBLOCK) < 0) _exit(1);
  pid_t pid = fork();
  if (pid < 0) _exit(1);
  if (pid == 0) become(run, a, ready[1], said[1]);
  int pidfd = pidfd_open(pid, 0);
  if (ready[1] >= 0) close(ready[1]);
  close(said[1]);
  /* Nothing of the keeper's may live on here: not its lock, not a client. */
  int kept[] = {keeper, ready[0], said[0], pidfd};
  for (int i = 0; i < 4; i++) kept[i] = fcntl(kept[i], F_DUPFD_CLOEXEC, HIGH);
  close_range(3, HIGH - 1, 0);
  prctl(PR_SET_NAME, "sampan-companion");

  struct pollfd polls[] = {{kept[3], POLLIN, 0}, {kept[0], POLLIN, 0}, {kept[1], POLLIN, 0}};
  int32_t answer = 1;
  while (answer > 0) {
    poll(polls, 3, -1);
    if (polls[1].revents) finish(kept[3], pid);
    if (polls[2].revents & POLLIN) answer = 0;
    else if (polls[0].revents) {
      waitpid(pid, &status, 0);
      answer = WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOENT : refusal(run, kept[2], a[0].list[0]);
    } else if (polls[2].revents) polls[2].fd = -1; /* closed without a word: its end is near */
  }
  send(kept[0], &answer, sizeof answer, MSG_NOSIGNAL);
  if (answer < 0) _exit(1);
  close(kept[1]);
  poll(polls, 2, -1);
  finish(kept[3], pid);
}

/* argv; the file that the program writes when it is ready, or "" for fd 3 */
int op_companion(struct run *run, const struct arg *a) {
  int pair[2], fifo = -1;
  if (run->companion >= 0) return -EBUSY;
  if (a[1].len) {
    /* A program that writes its pid file when it is ready wakes whoever reads a pipe of that name. */
    unlink(a[1].s);
    if (mkfifo(a[1].s, 0600) < 0 || (fifo = open(a[1].s, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0) return -errno;
  }
  int error = check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
  pid_t pid = error < 0 ? -1 : fork();
  if (pid == 0) nurse(run, a, (close(pair[0]), pair[1]), fifo);
  int32_t answer = error < 0 ? error : -ECANCELED;
  if (error >= 0) close(pair[1]);
  if (fifo >= 0) close(fifo);
  if (pid > 0) {
    run->companion = pair[0];
    run->nurse = pid;
    while (recv(pair[0], &answer, sizeof answer, 0) < 0 && errno == EINTR) continue;
    if (answer < 0) companion_end(run);
  } else if (error >= 0) {
    close(pair[0]);
  }
  if (a[1].len) unlink(a[1].s);
  return answer;
}

void companion_end(struct run *run) {
  if (run->companion < 0) return;
  close(run->companion);
  run->companion = -1;
  while (waitpid(run->nurse, NULL, 0) < 0 && errno == EINTR) continue;
}

/* Seconds for an answer: a server that hangs keeps no container from its end. */
enum { PATIENCE = 5 };

/* socket, text: what is said to a server of the container's, whose answer must not speak of an error */
int op_ask(struct run *run, const struct arg *a) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  struct timeval patience = {.tv_sec = PATIENCE};
  char answer[200], text[4096];
  int len = with_pid(run, text, sizeof text, a[1].s, a[1].len);
  if (len < 0) return len;
  if (a[0].len >= sizeof to.sun_path) return -ENAMETOOLONG;
  memcpy(to.sun_path, a[0].s, a[0].len);
  int fd = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd < 0) return fd;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  int error = check(connect(fd, (struct sockaddr *)&to, sizeof to));
  if (!error && !write_all(fd, text, (size_t)len)) error = -EPIPE;
  ssize_t n = error || shutdown(fd, SHUT_WR) < 0 ? 0 : read(fd, answer, sizeof answer - 1);
  close(fd);
  if (error) return error;
  answer[n > 0 ? n : 0] = 0;
  if (n > 0 && !strstr(answer, "\"error\"")) return 0;
  detail(run, n > 0 ? answer : "no answer", "");
  return -ECANCELED;
}
