/* The container's terminal, from its own devpts. */
#include "sampan.h"
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static int send_fd(int peer, int fd) {
  uint32_t number = 0;
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
  struct iovec part = {&number, sizeof number};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
  return check(sendmsg(peer, &message, MSG_NOSIGNAL));
}

/*
 * The slave comes from the master by TIOCGPTPEER, never by the name /dev/pts/N, which another process of the container
 * could swap meanwhile (CVE-2025-52565).
 */
int op_console(struct run *run, const struct arg *a) {
  struct statfs fs;
  struct winsize size = {.ws_row = (unsigned short)a[0].n, .ws_col = (unsigned short)a[1].n};
  int unlock = 0;
  closing master = beneath(run, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
  if (master < 0) return master;
  int error = check(fstatfs(master, &fs));
  if (!error && fs.f_type != DEVPTS_SUPER_MAGIC) error = -ENODEV;
  if (!error) error = check(ioctl(master, TIOCSPTLCK, &unlock));
  if (!error && size.ws_row && size.ws_col) error = check(ioctl(master, TIOCSWINSZ, &size));
  if (!error) error = run->slave = check(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (error >= 0) error = send_fd(run->peer, master);
  if (error < 0 || !run->has_root) return error < 0 ? error : 0;
  closing target = make(run, "/dev/console", CREATE_FILE, 0, NULL);
  if (target < 0) return target;
  closing mount = clone_mount(run->slave, "", false);
  return mount < 0 ? mount : move_onto(mount, target);
}
