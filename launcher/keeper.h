/*
 * The keeper's parts share one structure. It lives as long as the container and is mostly idle, so it is built from
 * small fixed buffers that are touched only when something flows: nothing is allocated once the container exists.
 */
#ifndef KEEPER_H
#define KEEPER_H
#include "sampan.h"
#include <poll.h>

/* ---- frames: Docker's 8-byte header, [type, 0, 0, 0, length with its most significant byte first] */

enum frame {
  FRAME_STDIN = 0, /* client: bytes; none: end of stdin */
  FRAME_STDOUT = 1,
  FRAME_STDERR = 2,
  FRAME_PLAN = 16,   /* client zero, first of all */
  FRAME_RESIZE = 17, /* rows u16, columns u16 */
  FRAME_SIGNAL = 18, /* number u32 (0: none), flags u32 */
  FRAME_ATTACH = 19, /* flags u32 */
  FRAME_TAKEN = 20,  /* client zero has recorded the exit */
  FRAME_WAIT = 21,   /* this client wants the exit frame */
  FRAME_POLICY = 23, /* restart policy u32, its maximum u32 */
  FRAME_RENEW = 24,  /* IP protocol u32, port u32 (0: none): let go of it; the plan is no longer what a restart should do */
  FRAME_HOLD = 25,   /* socket type u32, IP protocol u32, socket address: have this port of the host, if it is free */
  FRAME_NAME = 26,   /* text: what the container is called from now on */
  FRAME_REPORT = 32,
  FRAME_EXIT = 33,  /* the exit record's JSON: the container has ended for good */
  FRAME_STATE = 34, /* the same, of a run that will be followed by a restart */
  FRAME_FED = 35,   /* u32: so many bytes of this client's stdin were passed on */
  FRAME_GONE = 36,  /* to client zero after the exit of a container that is to be removed: its mounts are gone too */
};
enum { SIGNAL_NO_RESTART = 1, SIGNAL_WHOLE_CGROUP = 2 };
enum { ATTACH_STDIN = 1, ATTACH_STDOUT = 2, ATTACH_STDERR = 4 };

#define HEADER 8u
#define CLIENTS 200 /* who comes later waits until one leaves; with all else their fds stay below FD_HELD */
#define LINE_MOST 16384u /* a longer line is logged in parts, as Docker does it */
#define READ_MOST 65536u
#define FEED_MOST 32768u /* src/launch/connection.ts never has more than this on its way */

static inline uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static inline void put_be32(uint8_t *p, uint32_t n) {
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(n >> (24 - 8 * i));
}

static inline void frame_head(uint8_t *head, uint8_t type, uint32_t len) {
  memset(head, 0, HEADER);
  head[0] = type;
  put_be32(head + 4, len);
}

/* What is being sent to clients: one frame a channel, from the buffer where it lies. Not read again before all have it. */
enum { OUT, ERR, NOTICE, CHANNELS };
struct channel {
  uint8_t header[HEADER];
  const char *data;
  uint32_t len; /* 0: idle */
};

struct client {
  int fd; /* -1: a free place */
  bool zero, waits, fed;
  uint8_t attached; /* ATTACH_* */
  uint8_t owes;     /* channels that it must still be sent, a bit each */
  int8_t current;   /* the channel whose frame it has a part of; -1: none */
  uint32_t sent;    /* of that frame */
  uint64_t stalled; /* since when it has taken nothing; 0: not */
  uint32_t credit;  /* stdin bytes passed on and not yet told */
  uint8_t head[HEADER], got;
  uint32_t left; /* of the payload that is coming in */
  uint8_t small[256];
};

struct stream {
  int fd;        /* -1: none, or ended */
  uint32_t used; /* of the buffer: a line that has not ended, and behind it what is being sent */
  uint32_t rest; /* where what is not yet logged begins */
  uint32_t hurried; /* small pieces that came in quick succession */
  uint64_t last;    /* when one came, microseconds */
  char buffer[LINE_MOST + READ_MOST];
};

struct feed {
  int fd; /* of the container's stdin; -1: none, or closed */
  uint32_t at, end;
  struct client *from;
  bool ends; /* after what it holds */
  char buffer[FEED_MOST];
};

struct keeper {
  struct plan *plan;
  struct run run;
  bool running, held, taken, restart_off, timed_out;
  bool killed; /* by somebody who asked for that */
  char name[257]; /* that it was given while it ran; empty: none */
  bool stale, renew; /* the plan is out of date; so the engine starts it again */
  int mounts; /* the mount namespace of a container that is to be removed, held until its end was told; -1: not */
  int status; /* as waitid gave it: exit code, or 128 + signal */
  int signal;
  uint32_t restarts;
  uint64_t started_ns, started_us, finished_ns, deadline;
  struct client clients[CLIENTS];
  int places; /* of those, how many have ever been in use */
  struct channel channels[CHANNELS];
  struct stream streams[2];
  struct feed feed;
};

/* ---- clients.c */
void clients_init(struct keeper *k, int zero);
int clients_listen(const char *path);
bool clients_have_room(const struct keeper *k);
void client_accept(struct keeper *k);
/* Reads what came; may end the client. */
void client_read(struct keeper *k, struct client *c);
/* Sends what it is owed, as far as it goes. */
void client_send(struct keeper *k, struct client *c);
void client_drop(struct keeper *k, struct client *c);
/* Drops those that have taken nothing for half a minute, but for client zero. */
void clients_check(struct keeper *k);
enum whom { EVERYBODY, ZERO, OTHERS, WAITING };
/* Offers a frame on a channel to those who attached to it (NOTICE: who attached or waits). */
void channel_offer(struct keeper *k, int channel, uint8_t type, const char *data, uint32_t len, enum whom whom);
bool channel_idle(const struct keeper *k, int channel);
void feed_pump(struct keeper *k);
/* Whether this client's next bytes can be taken now. */
bool client_readable(const struct keeper *k, const struct client *c);

/* ---- log.c */
bool log_open(const struct plan *plan);
/* Logs the whole lines of `data`, and the rest too at the `end`; how many bytes that were. */
uint32_t log_lines(int channel, const char *data, uint32_t len, bool end);
void log_flush(void);

/* ---- record.c */
void record_pid(struct keeper *k, bool restarting);
/* `words` follow the action, `exec` is the id of a process beside the container's own; each may be empty. */
void record_event(struct keeper *k, const char *action, const char *words, const char *exec, const char *exit_code);
/* The exit record's text, for the file and for the clients; good until the next. */
struct text record_exit(struct keeper *k);
/* What came of so many steps, to whom sent the plan. */
void record_report(int fd, const struct shared *shared, uint32_t steps, uint64_t started_ns, int error);
/* What `read` steps found since the last time: whether the kernel has killed for want of memory. */
bool record_oom(void);
void record_clear(void);

/* ---- health.c */
void health_init(struct keeper *k);
void health_start(struct keeper *k);
void health_stop(void);
int health_poll(struct pollfd *polls); /* how many of at most 2 it added */
void health_turn(struct keeper *k);
uint64_t health_deadline(void); /* CLOCK_MONOTONIC microseconds; UINT64_MAX: none */

/* ---- keeper.c */
void *mapping(size_t size, bool shared);
void place(int fd, int number);
void keeper_signal(struct keeper *k, uint32_t number, uint32_t flags);
void keeper_resize(struct keeper *k, uint16_t rows, uint16_t columns);
void keeper_renew(struct keeper *k, uint32_t protocol, uint32_t port);
void keeper_name(struct keeper *k, const uint8_t *name, uint32_t len);
void keeper_policy(struct keeper *k, uint32_t policy, uint32_t maximum);
#endif
