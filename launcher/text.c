/* Text in buffers of fixed size, files written whole, folders read, and the two clocks. No stdio: its buffers would be memory. */
#include "sampan.h"
#include <stdio.h> /* rename */
#include <sys/syscall.h>

uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct text text_in(char *buffer, size_t size) {
  *buffer = 0;
  return (struct text){buffer, buffer, buffer + size - 1, false};
}

void put_bytes(struct text *t, const char *s, size_t len) {
  if (len > (size_t)(t->end - t->at)) {
    t->full = true;
    return;
  }
  memcpy(t->at, s, len);
  t->at += len;
  *t->at = 0;
}

void put(struct text *t, const char *s) { put_bytes(t, s, strlen(s)); }

void put_each(struct text *t, const char *const *all) {
  while (*all) put(t, *all++);
}

void put_number(struct text *t, uint64_t n) {
  char digits[20], *p = digits + sizeof digits;
  do *--p = (char)('0' + n % 10);
  while (n /= 10);
  put_bytes(t, p, (size_t)(digits + sizeof digits - p));
}

/* Milliseconds as Go writes a duration: 200ms, 1.5s, 2m0s, 1h0m30s. */
void put_duration(struct text *t, uint64_t ms) {
  if (ms && ms < 1000) return put_number(t, ms), put(t, "ms");
  uint64_t s = ms / 1000, rest = ms % 1000;
  if (s >= 3600) put_number(t, s / 3600), put(t, "h");
  if (s >= 60) put_number(t, s / 60 % 60), put(t, "m");
  put_number(t, s % 60);
  if (rest) {
    char digits[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10)};
    put_bytes(t, digits, rest % 10 ? 4 : rest % 100 ? 3 : 2);
  }
  put(t, "s");
}

bool write_all(int fd, const void *data, size_t len) {
  for (const char *p = data; len > 0;) {
    ssize_t n = write(fd, p, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    len -= (size_t)n;
  }
  return true;
}

int write_file(const char *path, const char *data, size_t len) {
  char name[4096 + 8];
  struct text t = text_in(name, sizeof name);
  put_all(&t, path, ".new");
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int error = write_all(fd, data, len) ? 0 : -errno;
  close(fd);
  if (!error && rename(name, path) < 0) error = -errno;
  if (error) unlink(name);
  return error;
}

/* Whole or not at all, as above, and read in one call. */
int write_link(const char *path, const char *text) {
  char name[4096 + 8];
  struct text t = text_in(name, sizeof name);
  put_all(&t, path, ".new");
  unlink(name); /* of one who was killed here */
  return check(symlink(text, name)) < 0 || rename(name, path) < 0 ? -errno : 0;
}

int open_process(pid_t pid, const char *name, int flags) {
  char path[64];
  struct text t = text_in(path, sizeof path);
  put(&t, "/proc/"), put_number(&t, (uint64_t)pid), put_all(&t, "/", name);
  return check(open(path, flags | O_CLOEXEC));
}

uint64_t process_start(pid_t pid) {
  char buffer[1024];
  closing fd = open_process(pid, "stat", O_RDONLY);
  ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);
  if (n <= 0) return 0;
  buffer[n] = 0;
  /* The name in field 2 may hold spaces and brackets: the last bracket ends it. Field 22 is 20 spaces further. */
  char *p = strrchr(buffer, ')');
  for (int space = 0; p && space < 20; space++) p = strchr(p + 1, ' ');
  uint64_t start = 0;
  if (p) for (p++; *p >= '0' && *p <= '9'; p++) start = start * 10 + (uint64_t)(*p - '0');
  return start;
}

void keeper_signals(void (*disposition)(int)) {
  static const int SIGNALS[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTTOU, SIGTTIN, SIGTSTP};
  for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) signal(SIGNALS[i], disposition);
}

const struct dirent64 *next_entry(struct entries *e) {
  for (;;) {
    if (e->at >= e->n) {
      e->n = check(syscall(SYS_getdents64, e->folder, e->buffer, sizeof e->buffer));
      e->at = 0;
      if (e->n <= 0) return NULL;
    }
    const struct dirent64 *entry = (const struct dirent64 *)(e->buffer + e->at);
    e->at += entry->d_reclen;
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) return entry;
  }
}

const char *words_of(int error) { return strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error"; }

void complain(const char *what, const char *object, int error) {
  char line[1024];
  struct text t = text_in(line, sizeof line);
  put_all(&t, "sampan launcher: ", what, *object ? " " : "", object);
  if (error) put_all(&t, ": ", words_of(error));
  put(&t, "\n");
  write_all(2, line, (size_t)(t.at - line));
}
