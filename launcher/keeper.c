/*
 * Looks after one process: starts it, carries its output to the log and to who is attached, waits for it, cleans up,
 * writes down how it ended, starts it again if that is wanted. The one loop is `turn`; every phase of a container's
 * life below is a condition under which it goes on turning.
 */
#include "keeper.h"
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct keeper keeper;

void *mapping(size_t size, bool shared) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* Moves a fd to its fixed number. */
void place(int fd, int number) {
  if (fd == number) return;
  dup3(fd, number, O_CLOEXEC);
  close(fd);
}

/* Nothing is there any more but /dev/null, which the keeper has at the number that only a child uses. */
static void vacate(int number) { dup3(FD_PEER, number, O_CLOEXEC); }

/* ---- what clients ask for */

static void kill_all(struct keeper *k) {
  for (char **c = k->plan->cgroups; *c; c++)
    if (cgroup_kill(*c) == 0) return;
  if (k->running) pidfd_send_signal(k->run.pidfd, SIGKILL, NULL, 0);
}

void keeper_signal(struct keeper *k, uint32_t number, uint32_t flags) {
  if (flags & SIGNAL_NO_RESTART) k->restart_off = true;
  if (number == SIGKILL || flags & SIGNAL_WHOLE_CGROUP) k->killed = true;
  if (flags & SIGNAL_WHOLE_CGROUP) kill_all(k);
  if (number && number < 65 && k->running) pidfd_send_signal(k->run.pidfd, (int)number, NULL, 0);
}

void keeper_resize(struct keeper *k, uint16_t rows, uint16_t columns) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  if (k->plan->tty && k->streams[OUT].fd >= 0) ioctl(k->streams[OUT].fd, TIOCSWINSZ, &size);
}

void keeper_policy(struct keeper *k, uint32_t policy, uint32_t maximum) {
  k->plan->policy = policy;
  k->plan->restart_max = maximum;
}

void keeper_name(struct keeper *k, const uint8_t *name, uint32_t len) {
  memcpy(k->name, name, len);
  k->name[len] = 0;
}

/* A container that was connected elsewhere while it runs: what it is started with the next time, only the engine knows. */
void keeper_renew(struct keeper *k, uint32_t protocol, uint32_t port) {
  k->stale = true;
  if (port) release_held(protocol, port);
}

/* ---- output */

static void log_rest(struct keeper *k, int i, bool end) {
  struct stream *s = &k->streams[i];
  s->rest += log_lines(i, s->buffer + s->rest, s->used - s->rest, end);
  if (end) s->rest = s->used;
}

static void stream_end(struct keeper *k, int i) {
  struct stream *s = &k->streams[i];
  if (s->fd < 0) return;
  log_rest(k, i, true);
  if (k->feed.fd == s->fd) k->feed.fd = -1; /* a pty is both */
  close(s->fd);
  s->fd = -1;
}

/*
 * A process that writes line by line would wake the keeper for each, and the waking is what costs the writer most: a
 * million lines of 100 bytes take it 1.2 s, and 0.6 s if nobody sleeps on its pipe. So after a few small pieces in
 * quick succession the keeper looks away for a moment, shorter than such a process takes to fill the pipe.
 */
static void let_gather(struct stream *s, size_t piece) {
  uint64_t now = now_us();
  s->hurried = piece < READ_MOST / 4 && now - s->last < 300 ? s->hurried + 1 : 0;
  s->last = now;
  if (s->hurried < 8) return;
  nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
  s->last = now_us();
}

/* What is not yet a whole line goes to the front, and the next piece behind it. */
static void stream_read(struct keeper *k, int i) {
  struct stream *s = &k->streams[i];
  if (s->fd < 0 || !channel_idle(k, i)) return;
  if (s->rest) memmove(s->buffer, s->buffer + s->rest, s->used - s->rest);
  s->used -= s->rest;
  s->rest = 0;
  ssize_t n = read(s->fd, s->buffer + s->used, READ_MOST);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return stream_end(k, i); /* of a pty: EIO, when its last slave is closed */
  uint32_t from = s->used;
  s->used += (uint32_t)n;
  channel_offer(k, i, i == OUT ? FRAME_STDOUT : FRAME_STDERR, s->buffer + from, (uint32_t)n, EVERYBODY);
  log_rest(k, i, false);
  let_gather(s, (size_t)n);
}

/* ---- the loop */

static bool sending(const struct keeper *k) {
  return !channel_idle(k, OUT) || !channel_idle(k, ERR) || !channel_idle(k, NOTICE);
}

static uint64_t deadline(const struct keeper *k) {
  uint64_t until = k->running ? k->deadline : UINT64_MAX, health = health_deadline();
  if (health < until) until = health;
  uint64_t check = sending(k) ? now_us() + 1000000 : UINT64_MAX; /* who has stalled? */
  return check < until ? check : until;
}

static void reap(struct keeper *k) {
  siginfo_t info = {0};
  if (waitid(P_PIDFD, (id_t)k->run.pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0) return;
  k->running = false;
  k->finished_ns = clock_ns();
  k->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  k->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* Waits at most until `limit` (microseconds, monotonic) for something to happen, and deals with it; what happened. */
static int turn(struct keeper *k, uint64_t limit) {
  struct pollfd polls[8 + CLIENTS];
  struct client *clients[CLIENTS];
  int n = 0, process = -1, streams[2] = {-1, -1}, feed = -1, listener = -1, first;
  if (k->running) process = n, polls[n++] = (struct pollfd){k->run.pidfd, POLLIN, 0};
  for (int i = 0; i < 2; i++)
    if (k->streams[i].fd >= 0 && !k->held && channel_idle(k, i)) streams[i] = n, polls[n++] = (struct pollfd){k->streams[i].fd, POLLIN, 0};
  if (k->feed.fd >= 0 && k->feed.at < k->feed.end) feed = n, polls[n++] = (struct pollfd){k->feed.fd, POLLOUT, 0};
  if (*k->plan->socket && clients_have_room(k)) listener = n, polls[n++] = (struct pollfd){FD_LISTEN, POLLIN, 0};
  n += health_poll(polls + n);
  first = n;
  for (int i = 0; i < k->places; i++) {
    struct client *c = &k->clients[i];
    if (c->fd < 0) continue;
    clients[n - first] = c;
    polls[n++] = (struct pollfd){c->fd, (short)((client_readable(k, c) ? POLLIN : 0) | (c->owes || c->credit ? POLLOUT : 0)), 0};
  }

  uint64_t until = deadline(k), now = now_us();
  if (limit < until) until = limit;
  struct timespec wait = {.tv_sec = 3600};
  if (until != UINT64_MAX) {
    uint64_t us = until > now ? until - now : 0;
    wait = (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  }
  int ready = ppoll(polls, (nfds_t)n, &wait, NULL);
  if (ready < 0) ready = 0;

  for (int i = first; i < n && ready; i++) {
    struct client *c = clients[i - first];
    if (polls[i].revents & POLLOUT && c->fd == polls[i].fd) client_send(k, c);
    if (polls[i].revents & (POLLIN | POLLHUP | POLLERR) && c->fd == polls[i].fd) client_read(k, c);
  }
  if (feed >= 0 && polls[feed].revents) feed_pump(k);
  if (k->feed.ends && k->feed.at == k->feed.end) feed_pump(k);
  for (int i = 0; i < 2; i++)
    if (streams[i] >= 0 && polls[streams[i]].revents) stream_read(k, i);
  log_flush();
  if (listener >= 0 && polls[listener].revents) client_accept(k);
  clients_check(k);
  health_turn(k);
  if (process >= 0 && polls[process].revents) reap(k);
  if (k->running && now_us() >= k->deadline) {
    k->timed_out = k->restart_off = true;
    k->deadline = UINT64_MAX;
    kill_all(k);
  }
  return ready;
}

/*
 * All that was written before the process ended. Not until the pipes end: something that left the cgroup may hold them
 * for ever. So: until there is nothing more to read now and everybody has been sent what there was; or it is `limit`, or a
 * restart that waits for this is no longer wanted.
 */
static void drain(struct keeper *k, uint64_t limit, bool restarts) {
  while (now_us() < limit && !(restarts && k->restart_off)) {
    bool open = k->streams[OUT].fd >= 0 || k->streams[ERR].fd >= 0;
    bool busy = (open && k->held) || sending(k);
    if (!busy && !open) break;
    if (turn(k, busy ? limit : 0) == 0 && !busy) break;
  }
}

/* ---- beginning and end of a run */

/*
 * The process's ends go to their fixed numbers, ours are not blocking. Whoever it becomes may open /dev/stdout again: a
 * pipe's mode guards nothing that /proc/PID/fd does not, and its owner would have to be an id that is not known yet.
 */
static int make_pipe(int number, bool reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  int theirs = ends[reads ? 0 : 1], ours = ends[reads ? 1 : 0];
  fchmod(theirs, 0666);
  fcntl(ours, F_SETFL, fcntl(ours, F_GETFL) | O_NONBLOCK);
  place(theirs, number);
  return ours;
}

static int open_stdio(struct keeper *k) {
  k->feed.fd = k->streams[OUT].fd = k->streams[ERR].fd = -1;
  k->feed.at = k->feed.end = 0;
  k->feed.ends = false;
  for (int i = 0; i < 2; i++) k->streams[i].used = k->streams[i].rest = 0;
  if (k->plan->tty) return 0;
  int in = k->plan->open_stdin ? make_pipe(FD_STDIN, true) : -1;
  int out = make_pipe(FD_STDOUT, false), err = make_pipe(FD_STDERR, false);
  k->feed.fd = in;
  k->streams[OUT].fd = out;
  k->streams[ERR].fd = err;
  return out < 0 ? out : err < 0 ? err : k->plan->open_stdin && in < 0 ? in : 0;
}

static void close_stdio(struct keeper *k) {
  stream_end(k, OUT);
  stream_end(k, ERR);
  log_flush();
  close_fd(&k->feed.fd);
  k->feed.fd = -1;
}

/*
 * A process that ends takes its mount namespace apart before its keeper hears of it, and some thirty mounts take a
 * millisecond or, on a busy machine, ten. Of a container that is to be removed nobody needs them any more: so they are held
 * until the one who ran it knows of the end, and taken apart while that one writes it down. Others may start again what they
 * hear has ended, which wants the same folders: they are told afterwards.
 */
static void hold_mounts(struct keeper *k) {
  if (*k->plan->remove) k->mounts = open_process(k->run.pid, "ns/mnt", O_RDONLY);
}

static void release_mounts(struct keeper *k) {
  close_fd(&k->mounts);
  k->mounts = -1;
}

static int begin(struct keeper *k) {
  release_mounts(k);
  int error = open_stdio(k);
  k->started_ns = clock_ns();
  k->timed_out = k->killed = false;
  record_clear();
  /* Of the run before this one. */
  if (*k->plan->exit_file) unlink(k->plan->exit_file);
  if (k->restarts && *k->plan->exit_spare) unlink(k->plan->exit_spare);
  if (!error) error = run_outside(&k->run);
  for (int number = FD_STDIN; number <= FD_STDERR; number++) vacate(number);
  if (error) {
    run_abandon(&k->run);
    close_stdio(k);
    return error;
  }
  k->running = k->run.pid > 0;
  k->started_us = now_us();
  k->deadline = k->plan->timeout ? k->started_us + k->plan->timeout * 1000 : UINT64_MAX;
  if (k->run.master >= 0) {
    fcntl(k->run.master, F_SETFL, O_RDWR | O_NONBLOCK);
    k->streams[OUT].fd = k->feed.fd = k->run.master;
  }
  if (!k->running) return 0;
  hold_mounts(k);
  record_pid(k, false);
  if (*k->plan->lock) record_event(k, "start", "", "", "");
  health_start(k);
  return 0;
}

static void die(struct keeper *k) {
  char code[8];
  struct text t = text_in(code, sizeof code);
  put_number(&t, (uint64_t)k->status);
  if (record_oom()) record_event(k, "oom", "", "", "");
  /* One more process in a container has no lock: it does not decide whether the container lives. */
  record_event(k, *k->plan->lock ? "die" : "exec_die", "", "", code);
}

/* Its output may be left for later: nobody knows how long client zero takes to read it. */
static void live(struct keeper *k) {
  while (k->running) turn(k, UINT64_MAX);
  uint64_t limit = now_us() + 1000000;
  health_stop();
  drain(k, limit, false);
  run_after(&k->run); /* kills what is left in the cgroup, which lets go of the pipes */
  close_range(FD_HELD, ~0U, 0);
  drain(k, limit, false);
  close_fd(&k->run.pidfd);
  k->run.pidfd = -1;
}

static bool again(const struct keeper *k) {
  const struct plan *p = k->plan;
  if (k->restart_off || p->policy == RESTART_NO) return false;
  if (p->policy != RESTART_ON_FAILURE) return true;
  return k->status != 0 && (p->restart_max == 0 || k->restarts < p->restart_max);
}

/* Between two runs. A stop ends the wait; the container is then what it was: ended. */
static bool wait_again(struct keeper *k, uint64_t delay) {
  uint64_t until = now_us() + delay;
  while (!k->restart_off && now_us() < until) turn(k, until);
  return !k->restart_off;
}

/* Whether it is to be run once more, after a wait that is longer each time. With a plan that is out of date the engine does that. */
static bool another(struct keeper *k, uint64_t *wait) {
  if (!wait_again(k, *wait)) return false;
  *wait = *wait * 2 < 60000000 ? *wait * 2 : 60000000;
  k->renew = k->stale;
  if (k->renew) return false;
  k->restarts++;
  return true;
}

/* Until everybody has what was on its way. Who takes nothing for ten seconds is dropped; client zero is waited for. */
static void flush_clients(struct keeper *k) {
  uint64_t limit = now_us() + 10000000;
  while (sending(k)) {
    for (int i = 0; i < k->places && now_us() >= limit; i++)
      if (k->clients[i].fd >= 0 && !k->clients[i].zero && k->clients[i].owes) client_drop(k, &k->clients[i]);
    turn(k, now_us() < limit ? limit : UINT64_MAX);
  }
}

/*
 * How it ended: into the file, to those who only wait and, when they have all of the output, to those who attached. Client
 * zero may take as long as it likes with that (`sampan run … | less`): nobody else waits for it, and `ps` and `stop` not
 * either.
 */
static struct text tell(struct keeper *k, uint8_t type, enum whom whom) {
  const struct plan *p = k->plan;
  struct text t = record_exit(k);
  uint32_t len = (uint32_t)(t.at - t.start);
  bool restarts = type == FRAME_STATE, late = k->held || sending(k);
  /* Where the disk is full the next reader finds it elsewhere. */
  if (*p->exit_file && write_file(p->exit_file, t.start, len) < 0 && *p->exit_spare) write_file(p->exit_spare, t.start, len);
  if (late && !restarts) channel_offer(k, NOTICE, type, t.start, len, WAITING);
  drain(k, UINT64_MAX, restarts);
  if (restarts && k->restart_off) return t;
  close_stdio(k);
  channel_offer(k, NOTICE, type, t.start, len, whom);
  flush_clients(k);
  return t;
}

static void tell_end(struct keeper *k) {
  if (!*k->plan->remove) {
    tell(k, FRAME_EXIT, EVERYBODY);
    return;
  }
  struct text t = tell(k, FRAME_EXIT, ZERO);
  release_mounts(k);
  channel_offer(k, NOTICE, FRAME_GONE, NULL, 0, ZERO);
  flush_clients(k);
  channel_offer(k, NOTICE, FRAME_EXIT, t.start, (uint32_t)(t.at - t.start), OTHERS);
  flush_clients(k);
}

/* ---- the whole */

/* What the keeper needs beside the plan's steps; its failures are reported as theirs are, but with no step. */
static int prepare(struct keeper *k) {
  const struct plan *p = k->plan;
  if (*p->lock) {
    int fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return detail(&k->run, "the lock ", p->lock), -errno;
    place(fd, FD_LOCK);
    if (flock(FD_LOCK, LOCK_EX | LOCK_NB) < 0) return detail(&k->run, "another keeper holds ", p->lock), -errno;
  }
  if (!log_open(p)) return detail(&k->run, "the log ", p->log), -errno;
  if (*p->socket) {
    int fd = clients_listen(p->socket);
    if (fd < 0) return detail(&k->run, "the socket ", p->socket), fd;
    place(fd, FD_LISTEN);
  }
  return 0;
}

/* Whether a client is there that may say that it has recorded the end. */
static bool awaited(struct keeper *k, bool zero_only) {
  for (int i = 0; i < k->places; i++) {
    const struct client *c = &k->clients[i];
    if (c->fd >= 0 && (c->waits || (c->zero && c->attached)) && (c->zero || !zero_only)) return true;
  }
  return false;
}

/* The last act: who heard of the end may have recorded it; otherwise the engine's own command takes over. */
static void farewell(struct keeper *k) {
  uint64_t limit = now_us() + 1000000; /* for whom it is only a favour; client zero has all the time it wants */
  while (!k->taken && awaited(k, now_us() >= limit)) turn(k, awaited(k, true) ? UINT64_MAX : limit);
  if (k->taken)
    for (char **folder = k->plan->remove; *folder; folder++) delete_tree(AT_FDCWD, *folder, 0);
  /* Whoever started this container may have been told so of a run before: that is not inherited. */
  char number[24];
  struct text count = text_in(number, sizeof number);
  put_number(&count, k->restarts + 1);
  put_bytes(&count, "", 1);
  if (k->renew && !k->restart_off)
    setenv("SAMPAN_AGAIN", number, 1);
  else
    unsetenv("SAMPAN_AGAIN");
  if ((!k->taken || k->renew) && *k->plan->reap) execve(k->plan->reap[0], k->plan->reap, environ);
  _exit(0);
}

void keep(struct plan *plan, int client) {
  struct keeper *k = &keeper;
  uint64_t backoff = 100000;
  k->plan = plan;
  k->held = plan->foreground;
  k->mounts = -1;
  k->restarts = plan->restarts;
  k->run = (struct run){.program = &plan->program, .born = now_us(), .stop_after = plan->stop_after, .tty = plan->tty, .pidfd = -1, .companion = -1};
  k->run.shared = mapping(shared_size(plan->program.count), true);
  if (!k->run.shared) complain("no memory for", "the report", ENOMEM), _exit(1);
  k->run.shared->failed = NO_STEP;
  k->streams[OUT].fd = k->streams[ERR].fd = k->feed.fd = -1;
  clients_init(k, client);
  health_init(k);

  int error = prepare(k);
  if (!error) error = begin(k);
  if (error) run_after(&k->run);
  if (error && *plan->socket) unlink(plan->socket);
  record_report(client, k->run.shared, plan->program.count, k->started_ns, error);
  if (error || !k->run.pid) _exit(error ? 1 : 0);
  /* From here on nobody's terminal or pipe is held open by a container that runs on. */
  for (int fd = 0; fd < 3; fd++) dup2(FD_STDIN, fd);

  for (;;) {
    live(k);
    die(k);
    if (!again(k)) break;
    record_pid(k, true); /* first: with an exit record alone it would have ended */
    tell(k, FRAME_STATE, EVERYBODY);
    if (now_us() - k->started_us >= 10000000) backoff = 100000;
    if (!another(k, &backoff)) break;
    while ((error = begin(k))) { /* what it needs may come back: a mount, a device */
      run_after(&k->run);
      close_range(FD_HELD, ~0U, 0);
      k->status = 128;
      k->finished_ns = clock_ns();
      die(k);
      if (!again(k) || !another(k, &backoff)) goto ended;
    }
  }
ended:
  /* Before anybody hears of the end: who starts the container again makes a socket of the same name. */
  if (*k->plan->socket) unlink(k->plan->socket);
  tell_end(k);
  farewell(k);
  _exit(0);
}
