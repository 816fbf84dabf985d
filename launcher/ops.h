/*
 * Every call that a plan can hold: its name, its operands as they lie on the wire, and the columns it may stand in.
 * This list is the only one. The decoder, the table of handlers and the numbers on the wire are all made from it, so
 * its order is part of the wire format and src/launch/wire.ts follows it.
 *
 *   u  number, 32 bits      U  number, 64 bits      ?  no or yes        c  what to create: nothing, folder, file
 *   s  text                 p  absolute path        b  bytes            l  list of texts      n  list of numbers
 */
#define O 1 /* outside: in the keeper, on the host */
#define I 2 /* inside: in the child, before its execve */
#define A 4 /* after: in the keeper, when the process has ended */

#define EVERY_OP(X)                                                                                  \
  X(clone, "us", O | I)                 /* flags, cgroup or "" */                                    \
  X(join, "uUu", I)                     /* pid, start, flags */                                      \
  X(setns, "pu", I)                     /* path, flags */                                            \
  X(unshare, "u", I)                    /* flags */                                                  \
  X(barrier, "?", O | I)                /* who waits: inside, outside */                             \
  X(spawn, "l", O | A)                  /* argv */                                                   \
  X(write, "pb??", O | I | A)           /* path, data, {pid}?, create? */                            \
  X(mkdir, "?puuu", O | I | A)          /* in root?, path, mode, uid, gid */                         \
  X(propagation, "up", I)               /* flags, path */                                            \
  X(overlay, "plssl", I)                /* target, lower, upper or "", work or "", options */        \
  X(root, "p", I)                       /* path */                                                   \
  X(mount, "sspusc??s?", I)             /* type, source, target, flags, data, create, copy up?, fallback?, it, */ \
                                        /* in the keeper's network namespace? */                     \
  X(bind, "??pp?uu?cusss", I)           /* in root?, from root?, source, target, recursive?, set, clear, */ \
                                        /* attributes recursive?, create, propagation, uid map or "", gid map, */ \
                                        /* base of the source or "" */                             \
  X(attributes, "puu?u", I)             /* target, set, clear, recursive?, propagation */            \
  X(mask, "p", I)                       /* target */                                                 \
  X(readonly, "p", I)                   /* target */                                                 \
  X(mknod, "puuuuu", I)                 /* target, mode, major, minor, uid, gid */                   \
  X(symlink, "ps", I)                   /* target, to */                                             \
  X(console, "uu", I)                   /* rows, columns */                                          \
  X(pivot, "", I)                                                                                    \
  X(chroot, "", I)                                                                                   \
  X(setsid, "", I)                                                                                   \
  X(stdio, "", I)                                                                                    \
  X(hostname, "s", I)                   /* name */                                                   \
  X(domainname, "s", I)                 /* name */                                                   \
  X(proc, "ss", I)                      /* path, data */                                             \
  X(rlimit, "uUU?", I)                  /* resource, soft, hard, nearest? */                         \
  X(keyring, "s", I)                    /* name */                                                   \
  X(bounding, "U", I)                   /* mask */                                                   \
  X(user, "uun", I)                     /* uid, gid, groups */                                       \
  X(capabilities, "UUUU", I)            /* effective, permitted, inheritable, ambient */             \
  X(no_new_privs, "", I)                                                                             \
  X(pdeathsig, "u", I)                  /* signal */                                                 \
  X(umask, "u", I)                      /* mask */                                                   \
  X(chdir, "p", I)                      /* path */                                                   \
  X(seccomp, "bu", I)                   /* program, flags */                                         \
  X(init, "", I)                                                                                     \
  X(execve, "lll", I)                   /* candidates, argv, env */                                  \
  X(netlink, "ubnnnll", O | I | A)      /* protocol, messages, where the pid goes, where it goes as a text, */ \
                                        /* where numbers of interfaces go, their names, repair */    \
  X(bpf_device, "pb", O)                /* cgroup, program */                                        \
  X(kill, "p", O | A)                   /* cgroup */                                                 \
  X(read, "ps", O | A)                  /* path, key */                                              \
  X(rmdir, "p", O | A)                  /* path */                                                   \
  X(copy, "spsp", I)                    /* base or "", path, volume or "", target */                 \
  X(companion, "ls", O)                 /* argv, the file that says that it is ready, or "": fd 3 */ \
  X(ask, "ps", O | A)                   /* unix socket, text with {pid} in it */                     \
  X(hold, "uub", O)                     /* socket type, protocol, address */                         \
  X(apply, "ppp?", I)                   /* upper, folder, path below both, remove? */
