/*
 * Health checks: a probe is an exec into the container, made by a fork of the keeper that walks the probe's own plan
 * and ends as the probe's program ended. The state is a file that a rename replaces, so that readers need no lock.
 * What counts follows Docker: failures while starting count only after the start period, `retries` in a row make it
 * unhealthy, one success makes it healthy.
 */
#include "keeper.h"
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>

#define KEPT 5
#define OUTPUT_MOST 4096
#define ID_BYTES 32

static const char *const NAME[] = {"starting", "healthy", "unhealthy"};

struct probe {
  uint64_t start, end; /* ns since 1970 */
  int code;
  uint32_t len;
  char output[OUTPUT_MOST];
};

static struct {
  struct keeper *k;
  struct shared *shared; /* for the probe's own steps */
  enum { STARTING, HEALTHY, UNHEALTHY } status;
  uint32_t streak, count;
  uint64_t next, limit; /* when the next begins, when the running one is out of time */
  pid_t pid;            /* 0: none runs */
  char id[2 * ID_BYTES + 1]; /* that the events give it */
  int pidfd, output;
  struct probe probes[KEPT]; /* number n lies at n % KEPT */
} health = {.next = UINT64_MAX, .limit = UINT64_MAX, .pidfd = -1, .output = -1};

void health_init(struct keeper *k) {
  health.k = k;
  if (k->plan->has_health) health.shared = mapping(shared_size(k->plan->health.count), true);
}

uint64_t health_deadline(void) { return health.pid ? health.limit : health.next; }

static void write_state(void) {
  static char json[KEPT * (OUTPUT_MOST * 6 + 128) + 256];
  struct text t = text_in(json, sizeof json);
  put(&t, "{\"status\":\""), put(&t, NAME[health.status]);
  put(&t, "\",\"failingStreak\":"), put_number(&t, health.streak);
  put(&t, ",\"log\":[");
  uint32_t first = health.count > KEPT ? health.count - KEPT : 0;
  for (uint32_t i = first; i < health.count; i++) {
    const struct probe *p = &health.probes[i % KEPT];
    put(&t, i > first ? ",{\"start\":\"" : "{\"start\":\""), put_number(&t, p->start);
    put(&t, "\",\"end\":\""), put_number(&t, p->end);
    put(&t, "\",\"exitCode\":");
    if (p->code < 0) put(&t, "-1");
    else put_number(&t, (uint64_t)p->code);
    put(&t, ",\"output\":\""), put_json(&t, p->output, p->len), put(&t, "\"}");
  }
  put(&t, "]}\n");
  write_file(health.k->plan->health_file, json, (size_t)(t.at - json));
}

static uint64_t since_start(void) { return now_us() - health.k->started_us; }

static void schedule(void) {
  const struct plan *p = health.k->plan;
  bool starting = health.status == STARTING && since_start() < p->start_period * 1000 && p->start_interval;
  health.next = now_us() + (starting ? p->start_interval : p->interval) * 1000;
}

void health_start(struct keeper *k) {
  if (!k->plan->has_health) return;
  health.status = STARTING;
  health.streak = health.count = 0;
  schedule();
  write_state();
}

/*
 * A probe takes its process with it, so that no zombie is left to whoever is pid 1 of the host: a container whose pid
 * namespace has one in it does not end. One that cannot, since the kernel holds its process, is left to that.
 */
void health_stop(void) {
  health.next = UINT64_MAX;
  if (!health.pid) return;
  struct pollfd end = {health.pidfd, POLLIN, 0};
  pidfd_send_signal(health.pidfd, SIGTERM, NULL, 0);
  if (poll(&end, 1, 1000) <= 0) pidfd_send_signal(health.pidfd, SIGKILL, NULL, 0);
  int status = 0;
  while (waitpid(health.pid, &status, 0) < 0 && errno == EINTR) continue;
  char code[8];
  struct text t = text_in(code, sizeof code);
  put_number(&t, (uint64_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
  record_event(health.k, "exec_die", "", health.id, code);
  close(health.pidfd);
  close(health.output);
  health.pid = 0;
  health.pidfd = health.output = -1;
}

/* ---- in the fork */

static struct run probing;

static void end_early(int signal) {
  if (probing.pid <= 0) _exit(128 + signal);
  kill(probing.pid, SIGKILL);
  if (probing.shared->pid != probing.pid) kill(probing.shared->pid, SIGKILL);
}

/* Walks the plan, waits, ends alike. */
__attribute__((noreturn)) static void run_probe(int output, pid_t keeper) {
  struct keeper *k = health.k;
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* its child has the same of it */
  if (getppid() != keeper) _exit(1);
  dup3(k->run.pidfd, FD_CONTAINER, O_CLOEXEC);
  dup3(output, FD_STDOUT, O_CLOEXEC);
  dup3(output, FD_STDERR, O_CLOEXEC);
  close_range(FD_CLIENT, FD_PEER, 0);
  close_range(FD_FREE, ~0U, 0);
  struct run *run = &probing;
  *run = (struct run){.program = &k->plan->health, .shared = health.shared, .born = now_us()};
  signal(SIGTERM, end_early);
  int status, error = run_outside(run);
  if (error) {
    char line[512];
    struct text t = text_in(line, sizeof line);
    run_abandon(run);
    put_all(&t, "the probe could not be executed: ", words_of(-error), *run->shared->detail ? ": " : "", run->shared->detail);
    write_all(FD_STDOUT, line, (size_t)(t.at - line));
    run_after(run);
    _exit(126);
  }
  while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR) continue;
  signal(SIGTERM, SIG_IGN);
  run_after(run);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- in the keeper */

/* To those who follow the events a probe is one more process in the container. */
static void announce(void) {
  uint8_t random[ID_BYTES] = {0};
  const char *says = health.k->plan->health_says;
  if (getrandom(random, sizeof random, GRND_NONBLOCK) < 0) return;
  for (size_t i = 0; i < sizeof random; i++) {
    health.id[2 * i] = "0123456789abcdef"[random[i] >> 4];
    health.id[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
  }
  record_event(health.k, "exec_create: ", says, health.id, "");
  record_event(health.k, "exec_start: ", says, health.id, "");
}

static void begin_probe(void) {
  int line[2];
  health.next = UINT64_MAX;
  struct probe *p = &health.probes[health.count % KEPT];
  p->start = clock_ns();
  p->len = 0;
  if (pipe2(line, O_CLOEXEC | O_NONBLOCK) < 0) return schedule();
  fcntl(line[1], F_SETFL, O_WRONLY);
  pid_t keeper = getpid();
  health.pid = fork();
  if (health.pid == 0) run_probe(line[1], keeper);
  close(line[1]);
  health.output = line[0];
  if (health.pid < 0) {
    health.pid = 0;
    close(line[0]);
    return schedule();
  }
  announce();
  health.pidfd = pidfd_open(health.pid, 0);
  health.limit = now_us() + health.k->plan->health_timeout * 1000;
}

static void read_output(void) {
  struct probe *p = &health.probes[health.count % KEPT];
  char more[4096];
  ssize_t n = 1;
  /* Not to the end: one that writes without end would have the keeper read for ever. */
  for (int i = 0; i < 16 && (n = read(health.output, more, sizeof more)) > 0; i++) {
    uint32_t space = OUTPUT_MOST - p->len, take = (size_t)n < space ? (uint32_t)n : space;
    memcpy(p->output + p->len, more, take);
    p->len += take;
  }
}

static void change(int status) {
  static const char *const EVENT[] = {"health_status: starting", "health_status: healthy", "health_status: unhealthy"};
  if ((int)health.status == status) return;
  health.status = status;
  record_event(health.k, EVENT[status], "", "", "");
}

static void end_probe(int code) {
  const struct plan *plan = health.k->plan;
  struct probe *p = &health.probes[health.count % KEPT];
  p->end = clock_ns();
  p->code = code;
  health.count++;
  if (code == 0) {
    health.streak = 0;
    change(HEALTHY);
  } else if (health.status != STARTING || since_start() >= plan->start_period * 1000) {
    if (++health.streak >= plan->retries) change(UNHEALTHY);
  }
  write_state();
  schedule();
}

int health_poll(struct pollfd *polls) {
  if (!health.pid) return 0;
  polls[0] = (struct pollfd){health.output, POLLIN, 0};
  polls[1] = (struct pollfd){health.pidfd, POLLIN, 0};
  return 2;
}

void health_turn(struct keeper *k) {
  if (!health.pid) {
    if (k->running && now_us() >= health.next) begin_probe();
    return;
  }
  siginfo_t info = {0};
  bool late = now_us() >= health.limit;
  read_output();
  if (waitid(P_PIDFD, (id_t)health.pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return;
  if (info.si_pid == 0 && !late) return;
  read_output();
  int code = info.si_pid == 0 ? -1 : info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  health_stop();
  if (code < 0) {
    struct probe *p = &health.probes[health.count % KEPT];
    struct text t = text_in(p->output, OUTPUT_MOST);
    put(&t, "Health check exceeded timeout (");
    put_duration(&t, k->plan->health_timeout);
    put(&t, ")");
    p->len = (uint32_t)(t.at - t.start);
  }
  end_probe(code);
}
