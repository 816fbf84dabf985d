/* What the keeper tells others, each as one text: its pid file, events, the exit record, the report to client zero. */
#include "keeper.h"

/* ---- readings: what the `read` steps of the after column found, as the inside of a JSON object */

static char found[32768];
static uint32_t found_len;
static bool oom;

bool record_oom(void) { return oom; }

void record_clear(void) {
  found_len = 0;
  oom = false;
}

/* `oom_kill N`, in memory.events as in v1's memory.oom_control. */
static bool tells_oom(const char *text) {
  const char *p = strstr(text, "oom_kill ");
  return p && (p == text || p[-1] == '\n') && p[9] >= '1' && p[9] <= '9';
}

int op_read(struct run *run, const struct arg *a) {
  (void)run;
  char text[4097];
  int fd = check(open(a[0].s, O_RDONLY | O_CLOEXEC));
  if (fd < 0) return fd == -ENOENT ? 0 : fd;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n < 0) return -errno;
  text[n] = 0;
  if (tells_oom(text)) oom = true;
  struct text t = text_in(found, sizeof found);
  t.at += found_len;
  put(&t, found_len ? ",\"" : "\"");
  put_json(&t, a[1].s, a[1].len);
  put(&t, "\":\"");
  put_json(&t, text, (size_t)n);
  put(&t, "\"");
  if (!t.full) found_len = (uint32_t)(t.at - t.start);
  return t.full ? -E2BIG : 0;
}

/* ---- files */

void record_pid(struct keeper *k, bool restarting) {
  if (!*k->plan->pid_file) return;
  char line[160];
  struct text t = text_in(line, sizeof line);
  const uint64_t words[] = {
      (uint64_t)getpid(), process_start(getpid()),
      restarting ? 0 : (uint64_t)k->run.pid, restarting ? 0 : process_start(k->run.pid),
      k->started_ns, k->restarts,
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) put_number(&t, words[i]), put(&t, " ");
  put(&t, restarting ? "restarting\n" : "running\n");
  write_file(k->plan->pid_file, line, (size_t)(t.at - line));
}

void record_event(struct keeper *k, const char *action, const char *exit_code) {
  if (!*k->plan->events) return;
  char line[8192];
  struct text t = text_in(line, sizeof line);
  put(&t, "{\"time\":\"");
  put_number(&t, clock_ns());
  put(&t, "\",\"type\":\"container\",\"action\":\"");
  put(&t, action);
  put(&t, "\"");
  if (*k->plan->members) put(&t, ","), put(&t, k->plan->members);
  if (*exit_code) put(&t, ",\"exitCode\":\""), put(&t, exit_code), put(&t, "\"");
  put(&t, "}\n");
  int fd = t.full ? -1 : open(k->plan->events, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  write_all(fd, line, (size_t)(t.at - line)); /* one write: lines of several keepers do not mix */
  close(fd);
}

static void put_flag(struct text *t, bool yes) { put(t, yes ? "true" : "false"); }

struct text record_exit(struct keeper *k) {
  static char json[sizeof found + 512];
  struct text t = text_in(json, sizeof json);
  put(&t, "{\"code\":"), put_number(&t, (uint64_t)k->status);
  put(&t, ",\"signal\":"), put_number(&t, (uint64_t)k->signal);
  put(&t, ",\"timedOut\":"), put_flag(&t, k->timed_out);
  put(&t, ",\"startedAt\":\""), put_number(&t, k->started_ns);
  put(&t, "\",\"finishedAt\":\""), put_number(&t, k->finished_ns);
  put(&t, "\",\"restarts\":"), put_number(&t, k->restarts);
  put(&t, ",\"readings\":{"), put_bytes(&t, found, found_len);
  put(&t, "}}\n");
  return t;
}

/* ---- the report */

static void send_number(struct text *t, uint64_t n, size_t size) { put_bytes(t, (const char *)&n, size); }

/* src/launch/report.ts reads it; numbers have their least byte first, as in the plan. */
void record_report(struct keeper *k, int fd, int error) {
  const struct shared *shared = k->run.shared;
  static char head[HEADER + 32];
  uint32_t count = k->run.program->count, detail = (uint32_t)strlen(shared->detail);
  size_t steps = count * sizeof(struct result), len = 32 + steps + detail;
  struct text t = text_in(head, sizeof head);
  const uint8_t frame[HEADER] = {FRAME_REPORT, 0, 0, 0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
  put_bytes(&t, (const char *)frame, HEADER);
  send_number(&t, error == 0, 4);
  send_number(&t, (uint64_t)getpid(), 4);
  send_number(&t, (uint64_t)shared->pid, 4);
  send_number(&t, k->started_ns, 8);
  send_number(&t, shared->failed, 4);
  send_number(&t, error ? (uint64_t)-error : 0, 4);
  send_number(&t, count, 4);
  if (write_all(fd, head, (size_t)(t.at - head)) && write_all(fd, shared->results, steps)) write_all(fd, shared->detail, detail);
}
