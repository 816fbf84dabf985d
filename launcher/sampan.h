/* What the launcher's files share: the plan as decoded, one run of it, and the words they use for each other. */
#ifndef SAMPAN_H
#define SAMPAN_H
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* ---- the plan (wire.c) */

enum column { OUTSIDE, INSIDE, AFTER };

#define OP_NUMBER(name, operands, columns) OP_##name,
#include "ops.h"
enum op { EVERY_OP(OP_NUMBER) OP_COUNT };
#undef O
#undef I
#undef A

struct arg {
  union {
    uint64_t n;
    const char *s;
    const uint8_t *b;
    char **list;
    const uint32_t *numbers;
  };
  uint32_t len; /* of a text without its NUL, of bytes, of a list */
};

struct step {
  uint8_t op, column;
  bool optional;
  const struct arg *args;
};

struct program {
  const struct step *steps;
  uint32_t count;
};

enum driver { LOG_NONE, LOG_JSON, LOG_LOCAL };
enum policy { RESTART_NO, RESTART_ALWAYS, RESTART_UNLESS_STOPPED, RESTART_ON_FAILURE };

struct plan {
  struct program program;
  const char *lock, *pid_file, *socket, *exit_file, *exit_spare;
  uint32_t driver;
  const char *log;
  uint64_t log_size;
  uint32_t log_files;
  bool tty, open_stdin, stdin_once, foreground;
  uint32_t policy, restart_max, restarts;
  uint64_t timeout; /* milliseconds */
  char **cgroups, **reap, **remove;
  const char *events, *members;
  uint32_t stop_after;
  bool has_health;
  uint64_t interval, health_timeout, start_period, start_interval;
  uint32_t retries;
  const char *health_file, *health_says; /* the state; the probe's words as JSON has them in quotes */
  struct program health;
};

#define PLAN_MAGIC 0x4e504d53u /* "SMPN", least byte first */
#define PLAN_VERSION 4u
#define PLAN_MOST (64u << 20)

/* Bytes of arena that a plan of this many bytes can need: no operand costs more than six times its room on the wire. */
size_t plan_arena(size_t len);
/* Decodes into *plan, which then points into `bytes` and `arena`. NULL, or what is wrong with it. */
const char *plan_decode(struct plan *plan, const uint8_t *bytes, size_t len, void *arena);

/* ---- one run of a program (steps.c) */

/*
 * Fixed numbers for the fds that last, so that a child can close all others with two calls and no list of them.
 * Every one is close-on-exec.
 */
enum {
  FD_CLIENT = 3, /* client zero: who sent the plan */
  FD_LOCK,
  FD_LOG,
  FD_LISTEN,
  FD_NETFILTER, /* the keeper's socket for nf_tables, once it has one */
  FD_PEER = 10, /* in the child: its end of the socketpair */
  FD_STDIN,     /* in the child: what fds 0 to 2 become */
  FD_STDOUT,
  FD_STDERR,
  FD_CONTAINER, /* pidfd of the container's process: health probes join it */
  FD_FREE,
  FD_HELD = 256, /* and all above: sockets that keep ports of the host */
};

struct result {
  uint32_t us, at; /* microseconds it took, and from the start to its end; UNREACHED where it never ran */
  uint32_t error;
};
#define UNREACHED 0xffffffffu
#define NO_STEP 0xffffffffu

/* Written by the child, read by the keeper: a page both map, so that a report costs no message. */
struct shared {
  int32_t pid;     /* of the process that is to be the container's, as the keeper sees it */
  uint32_t failed; /* step, or NO_STEP */
  uint32_t error;
  uint32_t at_execve; /* the step that is executing; its end is that of the socketpair */
  char detail[256];
  struct result results[];
};
size_t shared_size(uint32_t steps);

struct run {
  const struct program *program;
  struct shared *shared;
  uint64_t born;  /* microseconds, CLOCK_MONOTONIC */
  uint32_t stop_after;
  bool tty;
  pid_t keeper;
  pid_t pid;      /* as clone returned it */
  int pidfd;
  int peer;       /* this process's end of the socketpair */
  int master;     /* the pty's, once it has come */
  int companion;  /* its nurse's other end; -1: there is none */
  pid_t nurse;
  /* What the child has found on its way. */
  bool child, joined, has_root, umask_set, sealed_fds;
  int root, procfs, null, empty, slave;
  int pdeathsig;
};

/* The outside column up to the child's execve. 0, or the errno that shared->failed had. */
int run_outside(struct run *run);
/* Ends what a run_outside that failed has left of the child. */
void run_abandon(struct run *run);
/* The after column; errors are noted and go on. */
void run_after(struct run *run);

/* Negative errno for a call that returned below zero. */
static inline int check(long r) { return r < 0 ? -errno : (int)r; }
/* `closing fd = …`: closed on every way out of its block. */
static inline void close_fd(const int *fd) {
  if (*fd >= 0) close(*fd);
}
#define closing __attribute__((cleanup(close_fd))) int
/* What the errno does not say, for the report; the first words stay. */
void detail(struct run *run, const char *a, const char *b);
/* Has the child die when its keeper does; one that has died already is noticed. */
int die_with_keeper(struct run *run);

/* ---- handlers by subject: mounts.c, process.c, host.c, companion.c */
#define OP_HANDLER(name, operands, columns) int op_##name(struct run *run, const struct arg *a);
EVERY_OP(OP_HANDLER)

/* What lies at `path` beneath the run's root, as O_PATH unless `flags` ask for more; -errno. */
int beneath(struct run *run, const char *path, int flags);
/* What lies at `path` below the folder `dir`; a way that leads out of it is an error, and with `no_links` every link on it. */
/* openat2, close-on-exec, with RESOLVE_*; never through a magic link. */
int open_in(int dir, const char *path, uint64_t flags, uint64_t resolve);
int open_beneath(int dir, const char *path, int flags, bool no_links);
enum create { CREATE_NOTHING, CREATE_DIR, CREATE_FILE };
/* The same; what is missing of it is made, folders on the way with 0755. */
int make(struct run *run, const char *path, enum create create, mode_t mode, bool *made);
/* A mount of what lies at `path` below `fd`, attached nowhere; "" for the fd itself. */
int clone_mount(int fd, const char *path, bool recursive);
int move_onto(int mount, int target);
/* Forgets what was opened in a mount namespace that this process has left. */
void forget_root(struct run *run);
/* Copies what lies in folder `from` into folder `to` with all that it is: owners, modes, attributes, links. */
int copy_tree(int from, int to);
/* Removes the folder `name` in `at` with all that is in it, as far as it goes. `depth` is 0. */
void delete_tree(int at, const char *name, int depth);
/* Ends what op_companion started, and waits until it is gone. */
void companion_end(struct run *run);
/* Kills every process of the cgroup at `path` and of those beneath it. */
int cgroup_kill(const char *path);
/* Has a port of the host, by a socket that is never read; a fd or -errno. */
int hold(int type, int protocol, const void *address, size_t len);
/* Closes the sockets that hold a port of the host. */
void release_held(uint32_t protocol, uint32_t port);
/* The reaper that is pid 1 of a container with --init; never returns. */
void init_main(pid_t child) __attribute__((noreturn));

/* ---- what is no run of a plan (put.c, elsewhere.c) */

__attribute__((noreturn)) void put_main(void);
__attribute__((noreturn)) void elsewhere_main(char **links);

/* ---- the keeper (keeper.c and what it keeps) */

__attribute__((noreturn)) void keep(struct plan *plan, int client);

uint64_t now_us(void);   /* CLOCK_MONOTONIC */
uint64_t clock_ns(void); /* since 1970 */

/* Text built in a buffer of fixed size, with a NUL behind it at all times: what does not fit marks it full. */
struct text {
  char *start, *at, *end;
  bool full;
};
struct text text_in(char *buffer, size_t size);
void put_bytes(struct text *t, const char *s, size_t len);
void put(struct text *t, const char *s);
#define put_all(t, ...) put_each(t, (const char *const[]){__VA_ARGS__, NULL})
void put_each(struct text *t, const char *const *all);
void put_number(struct text *t, uint64_t n);
void put_duration(struct text *t, uint64_t ms);
/* As a JSON string's inside, escaped as Docker's log writer does it. */
void put_json(struct text *t, const char *s, size_t len);
/* Writes by a temporary name and a rename, so that a reader sees the old text or the new. */
int write_file(const char *path, const char *data, size_t len);
int write_link(const char *path, const char *text);
bool write_all(int fd, const void *data, size_t len);
int open_process(pid_t pid, const char *name, int flags); /* /proc/PID/name */
uint64_t process_start(pid_t pid); /* field 22 of /proc/PID/stat; 0 if it is gone */
/* What a keeper does not end by; its children take the default back. */
void keeper_signals(void (*disposition)(int));
/* `{pid}` becomes the container's; the length, or -E2BIG. */
int with_pid(struct run *run, char *out, size_t size, const char *s, size_t len);
/* Becomes a program of the host's: {pid} among its words is the container's, and it dies with whoever made it. */
void become_helper(struct run *run, char **argv, uint32_t count) __attribute__((noreturn));

/* A folder's entries one by one, without . and ..; nothing is allocated. `n` is -errno where it could not be read. */
struct entries {
  int folder;
  long n, at;
  _Alignas(struct dirent64) char buffer[4096];
};
const struct dirent64 *next_entry(struct entries *e);
const char *words_of(int error);
void complain(const char *what, const char *object, int error);
#endif
