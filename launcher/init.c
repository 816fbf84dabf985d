/*
 * pid 1 of a container that was asked for with --init: passes signals on to the program, reaps whatever dies, and ends
 * as the program ended. It is the launcher itself, so nothing has to be copied into the container.
 */
#include "sampan.h"
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>

void init_main(pid_t child) {
  static const char NAME[] = "sampan-init";
  close_range(3, ~0U, 0);
  prctl(PR_SET_NAME, NAME);
  /* Path and environment are the host's: nothing of them stays where /proc/1/cmdline and environ show it. */
  size_t room = strlen(program_invocation_name);
  explicit_bzero(program_invocation_name, room);
  memcpy(program_invocation_name, NAME, room < sizeof NAME ? room : sizeof NAME);
  for (char **e = environ; *e; e++) explicit_bzero(*e, strlen(*e));
  sigset_t all; /* blocked since before the fork */
  sigfillset(&all);
  for (;;) {
    int signal = sigwaitinfo(&all, NULL), status;
    if (signal < 0) continue;
    if (signal != SIGCHLD) {
      kill(child, signal);
      continue;
    }
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == child) _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
}
