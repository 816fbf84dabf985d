/* What the keeper does on the host before, beside and after its child: files, programs, cgroups, netlink. */
#include "sampan.h"
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int with_pid(struct run *run, char *out, size_t size, const char *s, size_t len) {
  struct text t = text_in(out, size - 1);
  const char *end = s + len;
  for (const char *found; (found = memmem(s, (size_t)(end - s), "{pid}", 5)); s = found + 5) {
    put_bytes(&t, s, (size_t)(found - s));
    put_number(&t, (uint64_t)run->shared->pid);
  }
  put_bytes(&t, s, (size_t)(end - s));
  return t.full ? -E2BIG : (int)(t.at - out);
}

int op_write(struct run *run, const struct arg *a) {
  char path[4096], data[4096];
  const char *to = a[0].s, *what = (const char *)a[1].b;
  int len = (int)a[1].len;
  if (a[2].n) {
    int n = with_pid(run, path, sizeof path, a[0].s, a[0].len);
    if (n < 0 || (len = with_pid(run, data, sizeof data, what, a[1].len)) < 0) return -E2BIG;
    to = path, what = data;
  }
  closing fd = check(open(to, O_WRONLY | O_CLOEXEC | O_NOCTTY | (a[3].n ? O_CREAT | O_TRUNC : 0), 0644));
  if (fd < 0) return fd;
  /* One write: the files of cgroupfs and procfs take a value whole. */
  ssize_t n = write(fd, what, (size_t)len);
  return n < 0 ? -errno : n < len ? -EIO : 0;
}

void become_helper(struct run *run, char **argv, uint32_t count) {
  static char *const ENV[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  char pid[16];
  with_pid(run, pid, sizeof pid, "{pid}", 5);
  for (uint32_t i = 0; i < count; i++)
    if (!strcmp(argv[i], "{pid}")) argv[i] = pid;
  keeper_signals(SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  execve(argv[0], argv, ENV);
  _exit(errno == ENOENT ? 127 : 126);
}

/* Executes a program of the host and waits for it; 0 if it ended well. */
static int execute(struct run *run, char **argv, uint32_t count) {
  int status;
  pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) become_helper(run, argv, count);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (status == 0) return 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return -ENOENT;
  detail(run, argv[0], WIFEXITED(status) ? " refused" : " was killed");
  return -ECANCELED;
}

int op_spawn(struct run *run, const struct arg *a) { return execute(run, a[0].list, a[0].len); }

/* ---- cgroups */

static int file_in(const char *folder, const char *name, int flags) {
  char path[4096 + 64];
  struct text t = text_in(path, sizeof path);
  put_all(&t, folder, "/", name);
  return t.full ? -ENAMETOOLONG : check(open(path, flags | O_CLOEXEC));
}

static int write_in(const char *folder, const char *name, const char *data) {
  closing fd = file_in(folder, name, O_WRONLY);
  if (fd < 0) return fd;
  return write(fd, data, strlen(data)) < 0 ? -errno : 0;
}

static void nap(long us) { nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL); }

/* Calls `act` for each folder in a cgroup; deeper than 32 levels is left. */
static void each_below(const char *path, int depth, int (*act)(const char *path, int depth)) {
  struct entries all = {.folder = depth > 32 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  char name[4096];
  if (all.folder < 0) return;
  for (const struct dirent64 *e; (e = next_entry(&all));) {
    if (e->d_type != DT_DIR) continue;
    struct text t = text_in(name, sizeof name);
    put_all(&t, path, "/", e->d_name);
    if (!t.full) act(name, depth + 1);
  }
  close(all.folder);
}

/* One SIGKILL for each pid of cgroup.procs; how many there were, or -errno. */
static int signal_all(const char *path) {
  char buffer[4096];
  int count = 0;
  closing fd = file_in(path, "cgroup.procs", O_RDONLY);
  if (fd < 0) return fd;
  pid_t pid = 0;
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
    for (ssize_t i = 0; i < n; i++) {
      if (buffer[i] >= '0' && buffer[i] <= '9') {
        pid = pid * 10 + (buffer[i] - '0');
        continue;
      }
      if (pid > 1) kill(pid, SIGKILL), count++; /* 0: one that this pid namespace does not see */
      pid = 0;
    }
  return count;
}

/* v1: frozen, so that nothing forks away and no pid is reused while each is signalled; thawed whatever happens. */
static int kill_v1(const char *path, int depth) {
  bool frozen = write_in(path, "freezer.state", "FROZEN") == 0;
  for (int i = 0; frozen && i < 50; i++) {
    char state[8] = "";
    closing fd = file_in(path, "freezer.state", O_RDONLY);
    if (fd < 0 || read(fd, state, sizeof state - 1) < 0 || !strncmp(state, "FROZEN", 6)) break;
    nap(100);
  }
  int count = signal_all(path);
  each_below(path, depth, kill_v1);
  if (frozen) write_in(path, "freezer.state", "THAWED");
  return count;
}

int cgroup_kill(const char *path) {
  if (write_in(path, "cgroup.kill", "1") == 0) return 0;
  struct stat st;
  if (stat(path, &st) < 0) return -errno;
  /* Without a freezer a process may fork while its cgroup is read: again, until it is empty. */
  int count = 1;
  for (int i = 0; i < 100 && (count = kill_v1(path, 0)) > 0; i++) nap(500);
  return count < 0 ? count : count > 0 ? -EBUSY : 0;
}

int op_kill(struct run *run, const struct arg *a) {
  int error = cgroup_kill(a[0].s);
  return error == -ENOENT ? 0 : error;
}

static int remove_tree(const char *path, int depth) {
  if (rmdir(path) == 0 || errno == ENOENT) return 0;
  int error = -errno;
  if (error != -EBUSY && error != -ENOTEMPTY) return error;
  each_below(path, depth, remove_tree);
  return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

int op_rmdir(struct run *run, const struct arg *a) {
  int error = remove_tree(a[0].s, 0);
  /* The last processes of a cgroup leave it a moment after they were reaped. */
  for (int i = 0; i < 200 && error == -EBUSY; i++) nap(i < 20 ? 200 : 5000), error = remove_tree(a[0].s, 0);
  return error;
}

int op_bpf_device(struct run *run, const struct arg *a) {
  closing cgroup = check(open(a[0].s, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (cgroup < 0) return cgroup;
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
  load.insns = (uintptr_t)a[1].b;
  load.insn_cnt = a[1].len / sizeof(struct bpf_insn);
  load.license = (uintptr_t) "Apache-2.0";
  closing program = a[1].len % sizeof(struct bpf_insn) ? -EINVAL : check(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load));
  union bpf_attr attach = {0};
  attach.target_fd = (uint32_t)cgroup;
  attach.attach_bpf_fd = (uint32_t)program;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  /* The cgroup holds it. */
  return program < 0 ? program : check(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
}

/* ---- sockets */

/*
 * A port that leads to the container is the container's: nobody else can bind it, and whoever asks the kernel who has it
 * is told. It listens, since two that only bound it could both have it; what arrives is sent on before it gets here.
 * SO_REUSEADDR is for a port that connections which have ended still occupy. Nothing listens by UDP or SCTP: there it would
 * let in whoever sets it too.
 */
int op_hold(struct run *run, const struct arg *a) {
  return hold((int)a[0].n, (int)a[1].n, a[2].b, a[2].len);
}

int hold(int type, int protocol, const void *bytes, size_t len) {
  struct sockaddr_storage address = {0};
  int one = 1;
  if (len < sizeof address.ss_family || len > sizeof address) return -EBADMSG;
  memcpy(&address, bytes, len);
  closing fd = check(socket(address.ss_family, type | SOCK_CLOEXEC, protocol));
  /* What this kernel has no sockets of (SCTP) passes through all the same, and no program can have the port. */
  if (fd == -ESOCKTNOSUPPORT) return 0;
  if (fd < 0) return fd;
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  int error = check(bind(fd, (struct sockaddr *)&address, (socklen_t)len));
  if (!error && type == SOCK_STREAM) error = check(listen(fd, 0));
  return error ? error : check(fcntl(fd, F_DUPFD_CLOEXEC, FD_HELD));
}

void release_held(uint32_t protocol, uint32_t port) {
  struct sockaddr_in address;
  /* They have one number after the other, and where one was closed there may be a gap. */
  for (int fd = FD_HELD, gap = 0; gap < 1024; fd++) {
    socklen_t size = sizeof address, length = sizeof(int);
    int kind = 0;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
      gap++;
      continue;
    }
    gap = 0;
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &kind, &length);
    if ((uint32_t)kind == protocol && ntohs(address.sin_port) == port) close(fd);
  }
}

/* ---- netlink */

/*
 * How many acknowledgements there will be; -EBADMSG where the lengths do not add up or nothing would be answered. Of a
 * batch of nf_tables only the last change asks for one: the kernel answers what it refuses in any case.
 */
static int count_acks(const uint8_t *at, size_t len) {
  int count = 0;
  while (len > 0) {
    struct nlmsghdr head;
    if (len < sizeof head) return -EBADMSG;
    memcpy(&head, at, sizeof head);
    size_t size = NLMSG_ALIGN((size_t)head.nlmsg_len);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > len) return -EBADMSG;
    at += size < len ? size : len;
    len -= size < len ? size : len;
    count += head.nlmsg_flags & NLM_F_ACK ? 1 : 0;
  }
  return count ? count : -EBADMSG;
}

static bool holds(const struct arg *messages, uint32_t at, uint32_t size) {
  return messages->len >= size && at <= messages->len - size;
}

/* What only the moment knows goes into the messages: the child's pid, and interfaces' numbers. */
static int fill_in(struct run *run, int fd, const struct arg *a) {
  uint8_t *to = (uint8_t *)(uintptr_t)a[1].b; /* the plan's own memory */
  uint32_t pid = (uint32_t)run->shared->pid;
  for (uint32_t i = 0; i < a[2].len; i++) {
    if (!holds(&a[1], a[2].numbers[i], 4)) return -EBADMSG;
    memcpy(to + a[2].numbers[i], &pid, 4);
  }
  for (uint32_t i = 0; i < a[3].len; i++) { /* seven digits of a name: the kernel's largest pid has them */
    if (!holds(&a[1], a[3].numbers[i], 7)) return -EBADMSG;
    uint32_t rest = pid;
    for (int digit = 6; digit >= 0; digit--, rest /= 10) to[a[3].numbers[i] + (uint32_t)digit] = (uint8_t)('0' + rest % 10);
  }
  if (a[4].len != a[5].len) return -EBADMSG;
  for (uint32_t i = 0; i < a[4].len; i++) {
    struct ifreq ask = {0};
    size_t len = strlen(a[5].list[i]);
    if (!holds(&a[1], a[4].numbers[i], 4) || len >= sizeof ask.ifr_name) return -EBADMSG;
    memcpy(ask.ifr_name, a[5].list[i], len);
    if (ioctl(fd, SIOCGIFINDEX, &ask) < 0) return detail(run, "no interface ", a[5].list[i]), -errno;
    memcpy(to + a[4].numbers[i], &ask.ifr_ifindex, 4);
  }
  return 0;
}

/* The kernel's own words for a refusal, where it has any: attributes behind the error. */
static void kernel_words(struct run *run, const struct nlmsghdr *m) {
  const struct nlmsgerr *e = NLMSG_DATA(m);
  size_t at = NLMSG_HDRLEN + sizeof *e;
  if (!(m->nlmsg_flags & NLM_F_ACK_TLVS)) return;
  if (!(m->nlmsg_flags & NLM_F_CAPPED)) at += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
  for (struct nlattr head; at + sizeof head <= m->nlmsg_len; at += NLA_ALIGN((size_t)head.nla_len)) {
    memcpy(&head, (const char *)m + at, sizeof head);
    if (head.nla_len < sizeof head || at + head.nla_len > m->nlmsg_len) return;
    const char *text = (const char *)m + at + sizeof head;
    if (head.nla_type == NLMSGERR_ATTR_MSG && memchr(text, 0, head.nla_len - sizeof head)) return detail(run, text, "");
  }
}

/* Netlink answers before send returns, so that what is not there then will never be. */
static int converse(struct run *run, int fd, const struct arg *a, int count) {
  _Alignas(struct nlmsghdr) char answer[8192];
  int error = fill_in(run, fd, a);
  while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0) continue; /* what a refusal before left unread */
  if (!error) error = check(send(fd, a[1].b, a[1].len, 0));
  while (error >= 0 && count > 0) {
    ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN ? -EPROTO : -errno;
    for (struct nlmsghdr *m = (struct nlmsghdr *)answer; error >= 0 && n > 0 && NLMSG_OK(m, (size_t)n); m = NLMSG_NEXT(m, n)) {
      if (m->nlmsg_type != NLMSG_ERROR || m->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr))) continue;
      error = ((struct nlmsgerr *)NLMSG_DATA(m))->error;
      if (error < 0) kernel_words(run, m);
      count--;
    }
  }
  return error < 0 ? error : 0;
}

static int netlink_socket(int protocol) {
  int fd = check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)), one = 1;
  if (fd < 0) return fd;
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
  return fd;
}

/*
 * Closing a socket of nf_tables waits until all that was deleted by it is freed, which takes 10 ms. So the keeper has one and
 * leaves it open to its own end, for which nobody waits.
 */
static int netfilter_socket(void) {
  static bool open;
  if (open) return FD_NETFILTER;
  int fd = netlink_socket(NETLINK_NETFILTER);
  if (fd < 0) return fd;
  dup3(fd, FD_NETFILTER, O_CLOEXEC);
  close(fd);
  open = true;
  return FD_NETFILTER;
}

static int netlink(struct run *run, const struct arg *a, int count) {
  bool lasts = a[0].n == NETLINK_NETFILTER && !run->child;
  int fd = lasts ? netfilter_socket() : netlink_socket((int)a[0].n);
  if (fd < 0) return fd;
  int error = converse(run, fd, a, count);
  if (!lasts) close(fd);
  return error;
}

/* Or was set down, or has lost its address, which the kernel says by the last two. */
static bool is_missing(int error) {
  return error == -ENODEV || error == -ENOENT || error == -EEXIST || error == -EBUSY || error == -ENETUNREACH ||
         error == -EINVAL;
}

/* What the messages build on may have been removed by somebody, or something may be in its place: repair, then again. */
int op_netlink(struct run *run, const struct arg *a) {
  int count = count_acks(a[1].b, a[1].len);
  if (count < 0) return count;
  int error = netlink(run, a, count);
  if (a[6].len == 0 || !is_missing(error)) return error;
  *run->shared->detail = 0;
  int repaired = execute(run, a[6].list, a[6].len);
  return repaired < 0 ? repaired : netlink(run, a, count);
}
