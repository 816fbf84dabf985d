/* Copying files by fds: what copy.c has for its neighbours. */
#ifndef SAMPAN_COPY_H
#define SAMPAN_COPY_H
#include "sampan.h"
#include <limits.h>
#include <sys/stat.h>

/* A file has this name until it is whole, so that a copy that was broken off can be taken up again. */
#define UNFINISHED ".sampan-unfinished"

/* A file with several names, and where its copy is, relative to the copy's top. */
struct twin {
  dev_t dev;
  ino_t ino;
  char *path;
  uint32_t next; /* of the same bucket, from 1 on; 0: none */
};
#define BUCKETS 4096

struct copy {
  int top; /* the target's */
  bool again; /* what is there already stays */
  const char *beside; /* what is there already is replaced, by way of this name */
  char path[PATH_MAX]; /* of the folder at hand, relative to the top, with a slash at its end */
  size_t len;
  struct twin *twins;
  uint32_t count, room, bucket[BUCKETS];
};

/* One file, or one link, device, fifo or socket, from the folder `from` into the folder `to`. */
int copy_file(struct copy *c, int from, int to, const char *name);
int copy_node(struct copy *c, int from, int to, const char *name, const struct stat *st);
void forget_twins(struct copy *c);
/* `out` gets the owner, mode, attributes and times of `in`; `st` is what fstat says of that. */
int dress(int in, int out, const struct stat *st);
#endif
