/* What the keeper tells others, each as one text: its pid file, events, the exit record, the report to client zero. */
#include "keeper.h"
#include <sys/uio.h>

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
  char text[4097];
  closing fd = check(open(a[0].s, O_RDONLY | O_CLOEXEC));
  if (fd < 0) return fd == -ENOENT ? 0 : fd;
  ssize_t n = read(fd, text, sizeof text - 1);
  if (n < 0) return -errno;
  text[n] = 0;
  if (tells_oom(text)) oom = true;
  struct text t = {found, found + found_len, found + sizeof found - 1, false};
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
  char line[192];
  struct text t = text_in(line, sizeof line - 1);
  const uint64_t words[] = {
      (uint64_t)getpid(), process_start(getpid()),
      restarting ? 0 : (uint64_t)k->run.pid, restarting ? 0 : process_start(k->run.pid),
      k->started_ns, k->restarts,
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) put_number(&t, words[i]), put(&t, " ");
  put(&t, restarting ? "restarting" : "running");
  *t.at = 0;
  write_link(k->plan->pid_file, line);
}

void record_event(struct keeper *k, const char *action, const char *words, const char *exec, const char *exit_code) {
  if (!*k->plan->events) return;
  char head[160], tail[sizeof k->name + 160];
  const char *members = k->plan->members; /* of any length: they hold the labels */
  const char *quote = *members ? "\"," : "\"";
  struct text before = text_in(head, sizeof head), after = text_in(tail, sizeof tail);
  put(&before, "{\"time\":\""), put_number(&before, clock_ns());
  put_all(&before, "\",\"type\":\"container\",\"action\":\"", action);
  if (*exec) put_all(&after, ",\"execID\":\"", exec, "\"");
  if (*exit_code) put_all(&after, ",\"exitCode\":\"", exit_code, "\"");
  if (*k->name) put_all(&after, ",\"name\":\"", k->name, "\"");
  put(&after, "}\n");
  closing fd = open(k->plan->events, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const struct iovec line[] = {
      {head, (size_t)(before.at - head)}, {(char *)words, strlen(words)}, {(char *)quote, strlen(quote)},
      {(char *)members, strlen(members)}, {tail, (size_t)(after.at - tail)},
  };
  /* One write: lines of several keepers do not mix. What a full disk took half of, its reader passes over. */
  if (writev(fd, line, sizeof line / sizeof *line) < 0) return;
}

static void put_flag(struct text *t, bool yes) { put(t, yes ? "true" : "false"); }

struct text record_exit(struct keeper *k) {
  static char json[sizeof found + 512];
  struct text t = text_in(json, sizeof json);
  put(&t, "{\"code\":"), put_number(&t, (uint64_t)k->status);
  put(&t, ",\"signal\":"), put_number(&t, (uint64_t)k->signal);
  put(&t, ",\"timedOut\":"), put_flag(&t, k->timed_out);
  put(&t, ",\"killed\":"), put_flag(&t, k->killed);
  put(&t, ",\"startedAt\":\""), put_number(&t, k->started_ns);
  put(&t, "\",\"finishedAt\":\""), put_number(&t, k->finished_ns);
  put(&t, "\",\"restarts\":"), put_number(&t, k->restarts);
  put(&t, ",\"readings\":{"), put_bytes(&t, found, found_len);
  put(&t, "}}\n");
  return t;
}

/* ---- the report */

/* src/launch/report.ts reads it; numbers have their least byte first, as in the plan. */
void record_report(int fd, const struct shared *shared, uint32_t steps, uint64_t started_ns, int error) {
  struct __attribute__((packed)) {
    uint8_t frame[HEADER];
    uint32_t ok;
    int32_t keeper, pid;
    uint64_t started_ns;
    uint32_t failed, error, steps;
  } head = {{0}, error == 0, getpid(), shared->pid, started_ns, shared->failed, (uint32_t)-error, steps};
  size_t results = steps * sizeof *shared->results, detail = strlen(shared->detail);
  frame_head(head.frame, FRAME_REPORT, (uint32_t)(sizeof head - HEADER + results + detail));
  if (write_all(fd, &head, sizeof head) && write_all(fd, shared->results, results)) write_all(fd, shared->detail, detail);
}
