/*
 * The container's log, written as it is read: many lines a write(2), one look at the clock for each piece that came.
 *
 * json-file is Docker's format, byte for byte:
 *   {"log":"text\n","stream":"stdout","time":"2026-11-24T02:17:17.123456789Z"}
 * A line of more than 16 KiB comes in parts of that size, all but the last without the `\n`.
 *
 * local is ours and cheaper to write and to read:
 *   1764000000123456789 oF text
 * nanoseconds since 1970, `o`ut or `e`rr, `F`ull or `P`art (no newline followed), a space, the bytes as they came.
 *
 * A file that would grow past its size becomes FILE.1, that FILE.2 and so on, the last is lost.
 */
#include "keeper.h"
#include <stdio.h> /* rename */
#include <sys/stat.h>

#define FLUSH_AT 65536u
/* A line of the longest kind after the last that did not flush: six bytes for each of its own at worst. */
static char buffer[FLUSH_AT + LINE_MOST * 6 + 256];

static struct {
  const struct plan *plan;
  uint32_t used;
  uint64_t size; /* of the file */
} out;

/* ---- the file */

static int open_file(void) {
  struct stat st;
  int fd = open(out.plan->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return -errno;
  out.size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
  place(fd, FD_LOG);
  return 0;
}

bool log_open(const struct plan *plan) {
  out.plan = plan;
  return plan->driver == LOG_NONE || open_file() == 0;
}

static void write_out(uint32_t len) {
  if (len == 0) return;
  if (write_all(FD_LOG, buffer, len)) out.size += len;
  /* A full disk: no half line stays, the next one begins where this would have. */
  else if (ftruncate(FD_LOG, (off_t)out.size) < 0) out.size += len;
}

void log_flush(void) {
  write_out(out.used);
  out.used = 0;
}

static void numbered(char *name, size_t size, uint32_t n) {
  struct text t = text_in(name, size);
  put(&t, out.plan->log);
  if (n) put(&t, "."), put_number(&t, n);
}

static void rotate(void) {
  char from[4096 + 16], to[4096 + 16];
  for (uint32_t n = out.plan->log_files - 1; n > 0 && out.plan->log_files > 1; n--) {
    numbered(from, sizeof from, n - 1);
    numbered(to, sizeof to, n);
    rename(from, to);
  }
  if (out.plan->log_files <= 1) unlink(out.plan->log);
  if (open_file() < 0) out.size = 0; /* it goes on in the old one */
}

/* ---- one line's text */

/* Bytes of a valid UTF-8 character, 0 for one that is not; table 3-7 of the Unicode standard. */
static uint32_t utf8(const uint8_t *s, uint32_t left) {
  uint8_t a = s[0], low = 0x80, high = 0xbf;
  uint32_t len = a >= 0xc2 && a <= 0xdf ? 2 : a >= 0xe0 && a <= 0xef ? 3 : a >= 0xf0 && a <= 0xf4 ? 4 : 0;
  if (len == 0 || len > left) return 0;
  if (a == 0xe0) low = 0xa0;
  if (a == 0xed) high = 0x9f;
  if (a == 0xf0) low = 0x90;
  if (a == 0xf4) high = 0x8f;
  if (s[1] < low || s[1] > high) return 0;
  for (uint32_t i = 2; i < len; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  return len;
}

/* Whether a byte stands for itself within a JSON string as Docker writes it. */
static inline bool plain(uint8_t c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'; }

static char *escape_one(char *to, const uint8_t *s, uint32_t left, uint32_t *taken) {
  static const char HEX[] = "0123456789abcdef";
  *taken = 1;
  if (*s == '"' || *s == '\\') return *to++ = '\\', *to++ = (char)*s, to;
  if (*s == '\n' || *s == '\r') return *to++ = '\\', *to++ = *s == '\n' ? 'n' : 'r', to;
  if (*s < 0x80) return memcpy(to, "\\u00", 4), to[4] = HEX[*s >> 4], to[5] = HEX[*s & 15], to + 6;
  uint32_t len = utf8(s, left);
  if (len == 0) return memcpy(to, "\\ufffd", 6), to + 6;
  *taken = len;
  if (len == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) /* line ends to JavaScript */
    return memcpy(to, s[2] == 0xa8 ? "\\u2028" : "\\u2029", 6), to + 6;
  return memcpy(to, s, len), to + len;
}

static char *escape(char *to, const char *text, uint32_t len) {
  const uint8_t *s = (const uint8_t *)text, *end = s + len;
  while (s < end) {
    const uint8_t *run = s;
    while (s < end && plain(*s)) s++;
    memcpy(to, run, (size_t)(s - run));
    to += s - run;
    if (s == end) break;
    uint32_t taken;
    to = escape_one(to, s, (uint32_t)(end - s), &taken);
    s += taken;
  }
  return to;
}

void put_json(struct text *t, const char *s, size_t len) {
  if (len > UINT32_MAX / 6 || len * 6 > (size_t)(t->end - t->at)) t->full = true;
  else t->at = escape(t->at, s, (uint32_t)len);
}

/* ---- time */

static char *two(char *to, uint32_t n) { return *to++ = (char)('0' + n / 10), *to++ = (char)('0' + n % 10), to; }

/* 2026-11-24T02:17:17.123456789Z: 30 bytes. The days' part is by Howard Hinnant's civil_from_days. */
static void rfc3339(char *to, uint64_t ns) {
  uint64_t s = ns / 1000000000;
  uint32_t fraction = (uint32_t)(ns % 1000000000), day = (uint32_t)(s % 86400);
  uint64_t z = s / 86400 + 719468, era = z / 146097, doe = z - era * 146097;
  uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  uint32_t mp = (uint32_t)((5 * doy + 2) / 153), month = mp < 10 ? mp + 3 : mp - 9;
  uint32_t year = (uint32_t)(yoe + era * 400 + (month <= 2));
  to = two(two(to, year / 100 % 100), year % 100);
  *to++ = '-', to = two(to, month);
  *to++ = '-', to = two(to, (uint32_t)(doy - (153 * mp + 2) / 5 + 1));
  *to++ = 'T', to = two(to, day / 3600);
  *to++ = ':', to = two(to, day / 60 % 60);
  *to++ = ':', to = two(to, day % 60);
  *to++ = '.';
  for (int i = 8; i >= 0; i--, fraction /= 10) to[i] = (char)('0' + fraction % 10);
  to[9] = 'Z';
}

/* What stands before and after every line of one piece. */
struct wrap {
  char before[32], after[80];
  uint32_t before_len, after_len;
};

static struct wrap wrap_of(int channel) {
  struct wrap f = {.before_len = 0};
  uint64_t now = clock_ns();
  struct text before = text_in(f.before, sizeof f.before), after = text_in(f.after, sizeof f.after);
  if (out.plan->driver == LOG_JSON) {
    put(&before, "{\"log\":\"");
    put(&after, channel == OUT ? "\",\"stream\":\"stdout\",\"time\":\"" : "\",\"stream\":\"stderr\",\"time\":\"");
    rfc3339(after.at, now);
    after.at += 30;
    put(&after, "\"}\n");
  } else {
    put_number(&before, now);
    put(&before, channel == OUT ? " o" : " e");
    put(&after, "\n");
  }
  f.before_len = (uint32_t)(before.at - before.start);
  f.after_len = (uint32_t)(after.at - after.start);
  return f;
}

static void add(const struct wrap *f, const char *text, uint32_t len, bool full) {
  char *start = buffer + out.used, *to = start;
  memcpy(to, f->before, f->before_len);
  to += f->before_len;
  if (out.plan->driver == LOG_JSON) {
    to = escape(to, text, len);
    if (full) *to++ = '\\', *to++ = 'n';
  } else {
    *to++ = full ? 'F' : 'P', *to++ = ' ';
    memcpy(to, text, len);
    to += len;
  }
  memcpy(to, f->after, f->after_len);
  to += f->after_len;
  uint64_t limit = out.plan->log_size;
  if (limit && out.size + (uint64_t)(to - buffer) > limit && out.size + out.used > 0) {
    log_flush();
    rotate();
    memmove(buffer, start, (size_t)(to - start));
    to -= start - buffer;
  }
  out.used = (uint32_t)(to - buffer);
  if (out.used >= FLUSH_AT) log_flush();
}

uint32_t log_lines(int channel, const char *data, uint32_t len, bool end) {
  if (out.plan->driver == LOG_NONE) return len;
  struct wrap f = wrap_of(channel);
  uint32_t at = 0;
  while (at < len) {
    uint32_t left = len - at, most = left < LINE_MOST ? left : LINE_MOST;
    const char *newline = memchr(data + at, '\n', most);
    if (!newline && left < LINE_MOST && !end) break;
    uint32_t n = newline ? (uint32_t)(newline - (data + at)) : most;
    add(&f, data + at, n, newline != NULL);
    at += n + (newline != NULL);
  }
  return at;
}
