/*
 * The decoder alone, for fuzzing under the sanitizers: stdin holds records of a length (32 bits, least byte first) and
 * so many bytes. Each is decoded from a block of exactly its size into an arena of exactly the size that the launcher
 * would map, and what came out is read to its last byte. Prints how many were accepted and refused.
 */
#include "sampan.h"
#include <stdio.h>
#include <stdlib.h>

static volatile unsigned long touched;

static void touch(const void *p, size_t len) {
  for (size_t i = 0; i < len; i++) touched += ((const unsigned char *)p)[i];
}

static void touch_list(char **list) {
  for (; *list; list++) touch(*list, strlen(*list) + 1);
}

static void touch_program(const struct program *p) {
#define O 1
#define I 2
#define A 4
#define OPERANDS(name, operands, columns) operands,
  static const char *const KINDS[] = {EVERY_OP(OPERANDS)};
  for (uint32_t i = 0; i < p->count; i++) {
    const struct step *s = &p->steps[i];
    const char *kinds = KINDS[s->op];
    for (int n = 0; kinds[n]; n++) {
      const struct arg *a = &s->args[n];
      if (kinds[n] == 's' || kinds[n] == 'p') touch(a->s, a->len + 1);
      else if (kinds[n] == 'b') touch(a->b, a->len);
      else if (kinds[n] == 'l') touch_list(a->list);
      else if (kinds[n] == 'n') touch(a->numbers, a->len * sizeof *a->numbers);
      else touch(&a->n, sizeof a->n);
    }
  }
}

int main(void) {
  unsigned long accepted = 0, refused = 0;
  for (uint32_t len; fread(&len, sizeof len, 1, stdin) == 1;) {
    uint8_t *bytes = malloc(len ? len : 1);
    void *arena = malloc(plan_arena(len));
    struct plan plan;
    if (!bytes || !arena || fread(bytes, 1, len, stdin) != len) abort();
    if (plan_decode(&plan, bytes, len, arena)) {
      refused++;
    } else {
      accepted++;
      const char *texts[] = {plan.lock, plan.pid_file, plan.socket, plan.exit_file, plan.exit_spare, plan.log, plan.events, plan.members};
      for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) touch(texts[i], strlen(texts[i]) + 1);
      touch_list(plan.cgroups);
      touch_list(plan.reap);
      touch_list(plan.remove);
      touch_program(&plan.program);
      if (plan.has_health) touch(plan.health_says, strlen(plan.health_says) + 1), touch_program(&plan.health);
    }
    free(bytes);
    free(arena);
  }
  printf("%lu accepted, %lu refused\n", accepted, refused);
}
