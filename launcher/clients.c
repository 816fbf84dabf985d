/*
 * Who is attached: client zero, that sent the plan, and whoever connected to the socket since. Output is sent from the
 * buffer that it was read into, and that is not read into again before every attached client has it: a slow client
 * slows the container, as a pipe would, and nothing is copied or lost. One that takes nothing for half a minute is
 * dropped, so that a forgotten terminal cannot stop a service; client zero is the exception, it is the pipe.
 *
 * stdin goes by credit: a client may have FEED_MOST bytes on their way and is told how many were passed on. So there is
 * always room for what it sent, and a signal or a resize is never stuck behind bytes that nobody reads.
 */
#include "keeper.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>

_Static_assert(FD_FREE + CLIENTS + 32 <= FD_HELD, "a client could be taken for a port that is held");

static const uint64_t PATIENCE = 30 * 1000000;

static void client_init(struct client *c, int fd, bool zero) { *c = (struct client){.fd = fd, .zero = zero, .current = -1}; }

void clients_init(struct keeper *k, int zero) {
  client_init(&k->clients[0], zero, true);
  k->places = 1;
}

static int free_place(const struct keeper *k) {
  int i = 1;
  while (i < k->places && k->clients[i].fd >= 0) i++;
  return i;
}

bool clients_have_room(const struct keeper *k) { return free_place(k) < CLIENTS; }

/* The folder is the caller's alone; the socket too. A long path is bound by its last part, from its folder. */
int clients_listen(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *name = strrchr(path, '/') + 1;
  char folder[4096];
  memcpy(folder, path, (size_t)(name - path));
  folder[name - path] = 0;
  if (strlen(name) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, name);
  if (chdir(folder) < 0) return -errno;
  unlink(name); /* of a keeper that died: the lock is ours */
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
  mode_t before = umask(0177);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, SOMAXCONN) < 0) error = -errno;
  umask(before);
  if (chdir("/") < 0) error = -errno;
  if (!error) return fd;
  close_fd(&fd);
  return error;
}

void client_accept(struct keeper *k) {
  int i = free_place(k), fd = accept4(FD_LISTEN, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  client_init(&k->clients[i], fd, false);
  if (i == k->places) k->places++;
}

void client_drop(struct keeper *k, struct client *c) {
  close(c->fd);
  if (c->zero) k->held = false;
  if (k->feed.from == c) k->feed.from = NULL;
  if (c->fed && k->plan->stdin_once) k->feed.ends = true;
  client_init(c, -1, false);
}

/* ---- output */

bool channel_idle(const struct keeper *k, int channel) {
  for (int i = 0; i < k->places; i++)
    if (k->clients[i].fd >= 0 && k->clients[i].owes & 1 << channel) return false;
  return true;
}

void channel_offer(struct keeper *k, int channel, uint8_t type, const char *data, uint32_t len, enum whom whom) {
  static const uint8_t WANTS[] = {ATTACH_STDOUT, ATTACH_STDERR, ATTACH_STDIN | ATTACH_STDOUT | ATTACH_STDERR};
  struct channel *ch = &k->channels[channel];
  frame_head(ch->header, type, len);
  ch->data = data;
  ch->len = len;
  for (int i = 0; i < k->places; i++) {
    struct client *c = &k->clients[i];
    if (c->fd < 0 || !(c->attached & WANTS[channel] || (channel == NOTICE && c->waits))) continue;
    if (whom != EVERYBODY && c->zero != (whom == ZERO)) continue;
    if (whom == WAITING && c->attached) continue;
    c->owes |= (uint8_t)(1 << channel);
    client_send(k, c);
  }
}

static void tell_credit(struct client *c) {
  uint8_t frame[HEADER + 4];
  frame_head(frame, FRAME_FED, 4);
  put_be32(frame + HEADER, c->credit);
  /* So small a message goes whole or not at all; if not, it is tried again with the next chance to send. */
  if (send(c->fd, frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof frame) c->credit = 0;
}

void client_send(struct keeper *k, struct client *c) {
  while (c->owes) {
    if (c->current < 0) {
      c->current = (int8_t)__builtin_ctz(c->owes);
      c->sent = 0;
    }
    struct channel *ch = &k->channels[c->current];
    uint32_t past = c->sent > HEADER ? c->sent - HEADER : 0;
    struct iovec parts[2] = {{ch->header + (c->sent - past), HEADER - (c->sent - past)}, {(char *)ch->data + past, ch->len - past}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!c->stalled) c->stalled = now_us();
      return;
    }
    if (n <= 0) {
      client_drop(k, c);
      return;
    }
    c->stalled = 0;
    c->sent += (uint32_t)n;
    if (c->sent < HEADER + ch->len) continue;
    c->owes &= (uint8_t)~(1 << c->current);
    c->current = -1;
  }
  if (c->credit) tell_credit(c);
}

void clients_check(struct keeper *k) {
  for (int i = 0; i < k->places; i++) {
    struct client *c = &k->clients[i];
    if (c->fd >= 0 && !c->zero && c->stalled && now_us() - c->stalled > PATIENCE) client_drop(k, c);
  }
}

/* ---- input */

static void feed_end(struct keeper *k) {
  struct feed *f = &k->feed;
  f->ends = false;
  if (f->fd < 0) return;
  if (k->plan->tty) { /* a terminal has no end: what the user would type says it */
    struct termios t;
    if (tcgetattr(f->fd, &t) == 0 && t.c_lflag & ICANON && write(f->fd, &t.c_cc[VEOF], 1) < 0) return;
    return;
  }
  close(f->fd);
  f->fd = -1;
}

void feed_pump(struct keeper *k) {
  struct feed *f = &k->feed;
  while (f->at < f->end) {
    /* Nobody reads it any more, or nobody ever did: it is gone, as with a closed pipe. */
    ssize_t n = f->fd < 0 ? (ssize_t)(f->end - f->at) : write(f->fd, f->buffer + f->at, f->end - f->at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      if (!k->plan->tty) close(f->fd);
      f->fd = -1;
      continue;
    }
    f->at += (uint32_t)n;
  }
  struct client *c = f->from;
  if (c && f->at > 0) {
    c->credit += f->at;
    if (c->current < 0) tell_credit(c);
  }
  /* To the front, so that what its client may still send always has room. */
  memmove(f->buffer, f->buffer + f->at, f->end - f->at);
  f->end -= f->at;
  f->at = 0;
  if (f->end > 0) return;
  f->from = NULL;
  if (f->ends) feed_end(k);
}

bool client_readable(const struct keeper *k, const struct client *c) {
  const struct feed *f = &k->feed;
  bool feeding = c->left > 0 && c->head[0] == FRAME_STDIN;
  return !feeding || ((!f->from || f->from == c) && f->end < FEED_MOST);
}

/* A whole frame but for stdin's bytes; false if it makes no sense. */
static bool frame(struct keeper *k, struct client *c, uint32_t len) {
  const uint8_t *p = c->small;
  switch (c->head[0]) {
    case FRAME_STDIN:
      if (!k->plan->stdin_once) return true;
      k->feed.ends = true;
      feed_pump(k);
      return true;
    case FRAME_RESIZE:
      if (len != 4) return false;
      keeper_resize(k, (uint16_t)(p[0] << 8 | p[1]), (uint16_t)(p[2] << 8 | p[3]));
      return true;
    case FRAME_SIGNAL:
      if (len != 8) return false;
      keeper_signal(k, be32(p), be32(p + 4));
      return true;
    case FRAME_ATTACH:
      if (len != 4) return false;
      c->attached = be32(p) & (ATTACH_STDIN | ATTACH_STDOUT | ATTACH_STDERR);
      if (c->zero) k->held = false;
      return true;
    case FRAME_TAKEN: k->taken = true; return true;
    case FRAME_WAIT: c->waits = true; return true;
    case FRAME_POLICY:
      if (len != 8 || be32(p) > RESTART_ON_FAILURE) return false;
      keeper_policy(k, be32(p), be32(p + 4));
      return true;
    case FRAME_RENEW:
      if (len != 8) return false;
      keeper_renew(k, be32(p), be32(p + 4));
      return true;
    case FRAME_NAME:
      keeper_name(k, p, len);
      return true;
    case FRAME_HOLD:
      if (len <= 8) return false;
      hold((int)be32(p), (int)be32(p + 4), p + 8, len - 8);
      return true;
    default: return false;
  }
}

static ssize_t receive(struct client *c, void *to, size_t most) {
  ssize_t n = recv(c->fd, to, most, MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : n <= 0 ? -EPIPE : n;
}

void client_read(struct keeper *k, struct client *c) {
  if (c->got < HEADER) {
    ssize_t n = receive(c, c->head + c->got, HEADER - c->got);
    if (n == -EAGAIN) return;
    if (n < 0) return client_drop(k, c);
    c->got += (uint8_t)n;
    if (c->got < HEADER) return;
    c->left = be32(c->head + 4);
    if (c->head[0] != FRAME_STDIN && c->left > sizeof c->small) return client_drop(k, c);
  } else if (c->head[0] == FRAME_STDIN) {
    struct feed *f = &k->feed;
    uint32_t most = FEED_MOST - f->end;
    ssize_t n = receive(c, f->buffer + f->end, c->left < most ? c->left : most);
    if (n == -EAGAIN) return;
    if (n < 0) return client_drop(k, c);
    c->left -= (uint32_t)n;
    c->fed = true;
    f->end += (uint32_t)n;
    f->from = c;
    feed_pump(k);
    if (c->left == 0) c->got = 0;
    return;
  } else {
    uint32_t len = be32(c->head + 4);
    ssize_t n = receive(c, c->small + (len - c->left), c->left);
    if (n == -EAGAIN) return;
    if (n < 0) return client_drop(k, c);
    c->left -= (uint32_t)n;
  }
  if (c->left > 0) return;
  c->got = 0;
  if (!frame(k, c, be32(c->head + 4))) client_drop(k, c);
}
