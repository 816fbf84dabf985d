/*
 * `sctp serve PORT` answers each message with it and the address it came from; `sctp ask ADDRESS PORT TEXT` sends one and
 * prints the answer. busybox has no program that speaks SCTP.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

static int serve(int port) {
  struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
  int one = 1, fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
  if (fd < 0) return fail("socket");
  /* What takes a port whose holder does not look. */
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) return fail("bind");
  if (listen(fd, 8) < 0) return fail("listen");
  puts("serves");
  fflush(stdout);
  for (;;) {
    struct sockaddr_in6 from;
    socklen_t size = sizeof from;
    char text[256], address[INET6_ADDRSTRLEN], answer[512];
    int client = accept(fd, (struct sockaddr *)&from, &size);
    if (client < 0) return fail("accept");
    ssize_t n = read(client, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    const char *name = inet_ntop(AF_INET6, &from.sin6_addr, address, sizeof address);
    if (strncmp(name, "::ffff:", 7) == 0) name += 7;
    int length = snprintf(answer, sizeof answer, "%s from %s", text, name);
    if (write(client, answer, (size_t)length) < 0) perror("write");
    close(client);
  }
}

static int ask(const char *address, int port, const char *text) {
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
  int is_four = inet_pton(AF_INET, address, &four.sin_addr);
  if (!is_four && !inet_pton(AF_INET6, address, &six.sin6_addr)) return fprintf(stderr, "%s is no address\n", address), 1;
  int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
  if (fd < 0) return fail("socket");
  if (connect(fd, is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six, is_four ? sizeof four : sizeof six) < 0)
    return fail("connect");
  if (write(fd, text, strlen(text)) < 0) return fail("write");
  char answer[512];
  ssize_t n = read(fd, answer, sizeof answer - 1);
  if (n < 0) return fail("read");
  answer[n] = 0;
  puts(answer);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) return serve(atoi(argv[2]));
  if (argc == 5 && strcmp(argv[1], "ask") == 0) return ask(argv[2], atoi(argv[3]), argv[4]);
  fputs("sctp serve PORT | sctp ask ADDRESS PORT TEXT\n", stderr);
  return 2;
}
