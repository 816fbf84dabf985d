/*
 * The plan's bytes into a plan. Nothing here trusts a length, a count or an enumeration: every read goes through the
 * cursor, and its first complaint sticks, so the code below reads as a description of the format and needs no check
 * after each line. The bytes stay where they are (texts carry their NUL on the wire) and everything that points at
 * them goes into an arena whose size follows from theirs: nothing is allocated here, and nothing later.
 *
 * What is alike lies together, each in the order in which it is read, since that is what the engine can write in the
 * fewest calls: first the numbers of 32 bits, least byte first, then the texts, each with a NUL after it, then bytes as
 * they are. The head says how much there is of the first two. A list is its count among the numbers and its texts among
 * the texts; bytes have their length among the numbers. A text with a NUL inside would be two of them, and then one
 * is left over at the end: all three must end exactly there.
 *
 * A program is a count of steps; a step is one number (op, column, optional, 0) and the operands that ops.h names.
 */
#include "sampan.h"

static const struct {
  const char *operands;
  uint8_t columns;
} SHAPE[] = {
#define O 1
#define I 2
#define A 4
#define OP_SHAPE(name, operands, columns) {operands, columns},
    EVERY_OP(OP_SHAPE)
#undef O
#undef I
#undef A
};

struct part {
  const uint8_t *at, *end;
};

struct cursor {
  struct part numbers, texts, bytes;
  uint8_t *arena;
  const char *wrong;
};

static size_t left(const struct part *p) { return (size_t)(p->end - p->at); }

static void refuse(struct cursor *c, const char *why) {
  if (!c->wrong) c->wrong = why;
  c->numbers.at = c->numbers.end;
  c->texts.at = c->texts.end;
  c->bytes.at = c->bytes.end;
}

static void *room(struct cursor *c, size_t size) {
  void *p = c->arena;
  c->arena += (size + 7) & ~(size_t)7;
  return p;
}

static uint32_t number(struct cursor *c) {
  uint32_t n = 0;
  if (left(&c->numbers) < sizeof n) return refuse(c, "it has too few numbers"), 0;
  memcpy(&n, c->numbers.at, sizeof n);
  c->numbers.at += sizeof n;
  return n;
}

static uint64_t wide(struct cursor *c) {
  uint64_t low = number(c);
  return low | (uint64_t)number(c) << 32;
}

static uint32_t below(struct cursor *c, uint32_t limit) {
  uint32_t n = number(c);
  if (n >= limit) return refuse(c, "a choice that does not exist"), 0;
  return n;
}

static bool yes(struct cursor *c) { return below(c, 2) == 1; }

static struct arg bytes(struct cursor *c) {
  struct arg a = {.len = number(c)};
  if (a.len > left(&c->bytes)) return refuse(c, "bytes that reach past its end"), (struct arg){.s = ""};
  a.b = c->bytes.at;
  c->bytes.at += a.len;
  return a;
}

static struct arg text(struct cursor *c) {
  const uint8_t *from = c->texts.at, *nul = left(&c->texts) ? memchr(from, 0, left(&c->texts)) : NULL;
  if (!nul) return refuse(c, "it has too few texts"), (struct arg){.s = ""};
  c->texts.at = nul + 1;
  return (struct arg){.b = from, .len = (uint32_t)(nul - from)};
}

static struct arg path(struct cursor *c) {
  struct arg a = text(c);
  if (a.s[0] != '/') refuse(c, "a path that is not absolute");
  if (a.len >= 4096) refuse(c, "a path of more than 4095 bytes");
  return a;
}

/* A file of the keeper's, or "": it has none. */
static const char *file(struct cursor *c) {
  return left(&c->texts) && *c->texts.at == 0 ? text(c).s : path(c).s;
}

static struct arg list(struct cursor *c) {
  struct arg a = {.len = number(c)};
  /* A text takes a byte at least, so a count that could not fit is refused before it costs anything. */
  if (a.len > left(&c->texts)) refuse(c, "a list that reaches past its end"), a.len = 0;
  a.list = room(c, (a.len + 1) * sizeof *a.list);
  for (uint32_t i = 0; i < a.len; i++) a.list[i] = (char *)text(c).s;
  a.list[a.len] = NULL;
  return a;
}

static struct arg numbers(struct cursor *c) {
  struct arg a = {.len = number(c)};
  if (a.len > left(&c->numbers) / 4) refuse(c, "a list that reaches past its end"), a.len = 0;
  uint32_t *out = room(c, a.len * sizeof *out);
  for (uint32_t i = 0; i < a.len; i++) out[i] = number(c);
  a.numbers = out;
  return a;
}

static struct arg operand(struct cursor *c, char kind) {
  switch (kind) {
    case 'u': return (struct arg){.n = number(c)};
    case 'U': return (struct arg){.n = wide(c)};
    case '?': return (struct arg){.n = below(c, 2)};
    case 'c': return (struct arg){.n = below(c, 3)};
    case 's': return text(c);
    case 'p': return path(c);
    case 'b': return bytes(c);
    case 'l': return list(c);
    default: return numbers(c);
  }
}

static struct step step(struct cursor *c) {
  uint32_t head = number(c);
  struct step s = {.op = head & 0xff, .column = head >> 8 & 0xff, .optional = head >> 16 & 1};
  if (s.op >= OP_COUNT) return refuse(c, "a call that does not exist"), s;
  if (s.column > AFTER || head >> 17) return refuse(c, "a column that does not exist"), s;
  if (!(SHAPE[s.op].columns >> s.column & 1)) refuse(c, "a call in a column where it cannot be");
  const char *operands = SHAPE[s.op].operands;
  struct arg *args = room(c, strlen(operands) * sizeof *args);
  for (size_t i = 0; operands[i]; i++) args[i] = operand(c, operands[i]);
  s.args = args;
  return s;
}

/* What no single step shows: one child, nothing inside before it, execve last, and something to execute. */
static void consistent(struct cursor *c, const struct program *p) {
  bool cloned = false, executed = false;
  for (uint32_t i = 0; i < p->count; i++) {
    const struct step *s = &p->steps[i];
    if (s->op == OP_clone && s->column == OUTSIDE) {
      if (cloned) refuse(c, "a second clone outside");
      cloned = true;
    } else if (s->column == INSIDE && s->op != OP_barrier) {
      if (!cloned) refuse(c, "a step inside before the clone");
      if (executed) refuse(c, "a step inside after execve");
    }
    if (s->op == OP_execve) {
      executed = true;
      if (s->args[0].len == 0 || s->args[1].len == 0) refuse(c, "an execve of nothing");
    }
    if ((s->op == OP_spawn || s->op == OP_companion) && s->args[0].len == 0) refuse(c, "a spawn of nothing");
  }
}

static struct program program(struct cursor *c) {
  struct program p = {.count = number(c)};
  if (p.count > left(&c->numbers) / 4) refuse(c, "more steps than it has bytes"), p.count = 0;
  struct step *steps = room(c, p.count * sizeof *steps);
  memset(steps, 0, p.count * sizeof *steps);
  p.steps = steps;
  for (uint32_t i = 0; i < p.count && !c->wrong; i++) steps[i] = step(c);
  if (!c->wrong) consistent(c, &p);
  return p;
}

/* What grows most is an empty text: a byte that becomes an operand of 16. */
size_t plan_arena(size_t len) { return len * 20 + 4096; }

const char *plan_decode(struct plan *plan, const uint8_t *start, size_t len, void *arena) {
  uint32_t head[4];
  if (len > PLAN_MOST) return "it is larger than 64 MiB";
  if (len < sizeof head) return "it ends within its head";
  memcpy(head, start, sizeof head);
  if (head[0] != PLAN_MAGIC) return "it does not begin as a plan does";
  if (head[1] != PLAN_VERSION) return "it is of another version than this launcher";
  size_t rest = len - sizeof head;
  if (head[2] > rest / 4 || head[3] > rest - head[2] * 4) return "parts that reach past its end";
  const uint8_t *numbers = start + sizeof head, *texts = numbers + head[2] * 4, *bytes = texts + head[3];
  struct cursor c = {{numbers, texts}, {texts, bytes}, {bytes, start + len}, arena, NULL};
  *plan = (struct plan){0};
  plan->lock = file(&c);
  plan->pid_file = file(&c);
  plan->socket = file(&c);
  plan->exit_file = file(&c);
  plan->exit_spare = file(&c);
  plan->driver = below(&c, LOG_LOCAL + 1);
  plan->log = file(&c);
  plan->log_size = wide(&c);
  plan->log_files = number(&c);
  plan->tty = yes(&c);
  plan->open_stdin = yes(&c);
  plan->stdin_once = yes(&c);
  plan->foreground = yes(&c);
  plan->policy = below(&c, RESTART_ON_FAILURE + 1);
  plan->restart_max = number(&c);
  plan->restarts = number(&c);
  plan->timeout = wide(&c);
  plan->cgroups = list(&c).list;
  plan->reap = list(&c).list;
  plan->remove = list(&c).list;
  plan->events = file(&c);
  plan->members = text(&c).s;
  plan->stop_after = number(&c);
  plan->has_health = yes(&c);
  if (plan->has_health) {
    plan->interval = wide(&c);
    plan->health_timeout = wide(&c);
    plan->start_period = wide(&c);
    plan->start_interval = wide(&c);
    plan->retries = number(&c);
    plan->health_file = path(&c).s;
    plan->health_says = text(&c).s;
    plan->health = program(&c);
  }
  plan->program = program(&c);
  if (!c.wrong && (left(&c.numbers) || left(&c.texts) || left(&c.bytes))) c.wrong = "more in it than it says";
  return c.wrong;
}
