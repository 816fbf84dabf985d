/*
 * What runs first, before the C library: makes the executable unreachable.
 *
 * A container can open /proc/PID/exe of a process that is inside it, and has overwritten the host's runtime that way
 * (CVE-2019-5736). So the launcher executes itself once more, from a clone of its mount that is read-only and attached
 * nowhere; all keepers still share the file's pages. A caller who may not clone mounts gets a sealed copy in memory
 * (main.c).
 *
 * It is done here because a start of the C library costs 0.3 ms on a virtual machine (every cpuid traps, some 25 pages
 * are touched) and the first of two would be for nothing. So nothing in this file may call into it: no errno, no memcpy.
 */
#include "sampan.h"
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
__asm__(".globl sampan_entry\n"
        "sampan_entry:\n"
        "  mov %rsp, %rbx\n"
        "  mov %rsp, %rdi\n"
        "  call before_libc\n"
        "  mov %rbx, %rsp\n"
        "  xor %edx, %edx\n" /* the kernel's: no function to call at exit */
        "  jmp _start\n");

static long call(long number, long a, long b, long c, long d, long e) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
__asm__(".globl sampan_entry\n"
        "sampan_entry:\n"
        "  mov x19, sp\n"
        "  mov x0, sp\n"
        "  bl before_libc\n"
        "  mov sp, x19\n"
        "  mov x0, #0\n"
        "  b _start\n");

static long call(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#else
#error "entry.c knows x86_64 and aarch64"
#endif

/* Returns where there is nothing to do or nothing that this caller may do. */
__attribute__((used)) void before_libc(long *stack) {
  static const char SELF[] = "/proc/self/exe";
  struct statfs fs;
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
  char **argv = (char **)(stack + 1), **env = argv + stack[0] + 1;
  long exe = call(SYS_openat, AT_FDCWD, (long)SELF, O_PATH | O_CLOEXEC, 0, 0);
  if (exe < 0) return;
  long known = call(SYS_fstatfs, exe, (long)&fs, 0, 0, 0);
  call(SYS_close, exe, 0, 0, 0, 0);
  if (known < 0 || fs.f_flags & ST_RDONLY) return;
  long tree = call(SYS_open_tree, AT_FDCWD, (long)SELF, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
  if (tree < 0) return;
  if (call(SYS_mount_setattr, tree, (long)"", AT_EMPTY_PATH, (long)&attr, sizeof attr) == 0)
    call(SYS_execveat, tree, (long)"", (long)argv, (long)env, AT_EMPTY_PATH);
  call(SYS_close, tree, 0, 0, 0, 0);
}
