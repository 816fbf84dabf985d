/**
 * What must hold on aarch64, where numbers of system calls, flags of open(2) and the launcher's first instructions are
 * other ones. The filter is asked by a program in the container (probe.c), not by the engine's own reading of it.
 */
import { type Check, check } from "../support/guest/check.ts";
import { COMMON, TRACES } from "../v2/checks.ts";

/** In a container: `probe` as it would be started there. */
const PROBED = "run --rm -v /probe:/probe:ro";

const MACHINE = [
  check(
    "the machine is aarch64, and so does the engine call it",
    `
    is "$(uname -m)" aarch64
    is "$(sampan info -f '{{.Architecture}}')" aarch64
    is "$(sampan version -f '{{.Client.Arch}} {{.Server.Arch}}')" "arm64 arm64"`,
  ),
  check(
    "an image for arm64 is loaded and run",
    `
    is "$(sampan load -i /busybox.tar)" "Loaded image: busybox:latest"
    is "$(sampan image inspect -f '{{.Os}}/{{.Architecture}}' busybox)" linux/arm64
    is "$(sampan run --rm busybox uname -m)" aarch64
    is "$(sampan run --rm --platform linux/arm64 busybox echo hello)" hello`,
  ),
  check(
    "an image for amd64 is loaded, and what it holds is refused with the names of both",
    `
    is "$(sampan load -i /foreign.tar)" "Loaded image: foreign:latest"
    is "$(sampan image inspect -f '{{.Architecture}}' foreign)" amd64
    code=0
    sampan run --rm foreign true 2>/tmp/why || code=$?
    is "$code" 126
    is "$(cat /tmp/why)" "WARNING: The image's platform (linux/amd64) is not this machine's (linux/arm64), and no --platform asked for it.
sampan: exec /bin/true: exec format error: it is a program for amd64, and this machine is arm64
Use an image for linux/arm64, or register an emulator (qemu-user-static with binfmt_misc)."
    refused sampan run --rm --pull never --platform linux/arm64 foreign true 2>/tmp/why
    holds grep -q 'its platform (linux/amd64) does not match the specified platform (linux/arm64)' /tmp/why`,
  ),
  check(
    "the launcher runs from where nobody can write to it",
    `
    start busybox sleep 100
    keeper=$(running sampan-launcher)
    exec 5<"/proc/$keeper/exe"
    # While it runs its text is busy, whatever else there is.
    refused sh -c ": >>/proc/$keeper/exe" 2>/dev/null
    sampan rm -f c
    while [ -n "$(running sampan-launcher)" ]; do sleep 0.1; done
    refused sh -c ': >>/proc/self/fd/5' 2>/tmp/why
    holds grep -q 'Read-only file system' /tmp/why`,
  ),
];

const SECCOMP = [
  check(
    "the filter of the default capabilities allows and refuses each system call by its number here",
    `
    sampan ${PROBED} busybox /probe >/tmp/said
    is "$(diff /expected/default /tmp/said)" ""`,
  ),
  check(
    "the filter for all capabilities, which is assembled when it is asked for, too",
    `
    sampan ${PROBED} --cap-add ALL busybox /probe >/tmp/said
    is "$(diff /expected/all /tmp/said)" ""`,
  ),
  check(
    "without a filter every call is let through",
    `
    sampan ${PROBED} --security-opt seccomp=unconfined busybox /probe >/tmp/said
    refused grep -v allowed /tmp/said
    is "$(wc -l </tmp/said)" "$(wc -l </expected/default)"`,
  ),
  check(
    "the flags of clone, the families of sockets and the personalities are judged",
    `
    clone=220 socket=198 personality=92
    sampan ${PROBED} busybox sh -c "
      for flags in 0x11 0x10000000 0x20000 0x2000000 0x4000000 0x8000000 0x20000000 0x40000000; do /probe $clone \\$flags; done
      for family in 1 2 10 16 17 38 40; do /probe $socket \\$family; done
      for persona in 0 8 0x20000 0xffffffff 0x40000; do /probe $personality \\$persona; done" >/tmp/said
    is "$(cut -d ' ' -f 2 /tmp/said | xargs)" "allowed 1 1 1 1 1 1 1 allowed allowed allowed allowed allowed 1 1 allowed allowed allowed allowed 1"`,
  ),
  check(
    "programs meet it: no namespaces, and no mounts in them",
    `
    refused sampan run --rm busybox unshare -U true 2>/tmp/why
    holds grep -q 'Operation not permitted' /tmp/why
    sampan run --rm --security-opt seccomp=unconfined busybox unshare -U true
    refused sampan run --rm --user 1000 busybox unshare -U -m -r mount -t tmpfs tmpfs /tmp 2>/dev/null
    is "$(sampan run --rm busybox sh -c 'dd if=/dev/zero bs=1k count=1 2>/dev/null | md5sum | cut -c 1-8; nproc; date +%Y | wc -c')" "0f343b09
2
5"`,
  ),
  check(
    "a profile from a file says errors and death by names",
    `
    cat >/tmp/profile.json <<'END'
{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_AARCH64"], "syscalls": [
  { "names": ["mkdirat", "mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 },
  { "names": ["symlinkat", "symlink"], "action": "SCMP_ACT_KILL_PROCESS" } ] }
END
    refused sampan run --rm --security-opt seccomp=/tmp/profile.json busybox mkdir /new 2>/tmp/why
    holds grep -q 'No space left on device' /tmp/why
    code=0
    sampan run --rm --security-opt seccomp=/tmp/profile.json busybox ln -s a /b || code=$?
    is "$code" 159
    sampan run --rm --security-opt seccomp=/tmp/profile.json busybox touch /c`,
  ),
  check(
    "explain counts what the filter refuses of the system calls of aarch64",
    `
    start busybox sleep 100
    sampan explain c >/tmp/said
    cat /tmp/said
    holds grep -q "filter: $(cat /expected/refused) system calls are refused" /tmp/said
    sampan explain --as oci c >/tmp/said
    holds grep -q SCMP_ARCH_AARCH64 /tmp/said`,
  ),
];

const LIFE = [
  check(
    "run, ps, logs, exec, stop and rm",
    `
    start busybox sh -c 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
    until sampan logs c | grep -q ready; do sleep 0.1; done
    is "$(sampan ps --format '{{.Names}} {{.Image}} {{.State}}')" "c busybox running"
    is "$(echo in | sampan exec -i c cat)" in
    code=0
    sampan exec c sh -c 'exit 7' || code=$?
    is "$code" 7
    is "$(sampan exec -u 1000 -w /tmp -e A=b c sh -c 'id -u; pwd; echo $A' | xargs)" "1000 /tmp b"
    holds test "$(sampan top c | wc -l)" -ge 2
    is "$(sampan stop c)" c
    is "$(sampan inspect -f '{{.State.Status}} {{.State.ExitCode}}' c)" "exited 3"
    is "$(sampan logs c | xargs)" "ready bye"
    sampan start c
    is "$(sampan rm -f c)" c
    is "$(sampan ps -aq)" ""`,
  ),
  check(
    "run -it and exec -it have a terminal of the caller's size",
    `
    cat >/tmp/typed <<'END'
tty; stty size; exit 5
END
    code=0
    (sleep 8; cat /tmp/typed; sleep 5) | script -qec 'stty rows 33 cols 77; sampan run --network none -it --rm busybox sh' /dev/null >/tmp/said || code=$?
    tr -d '\\r' </tmp/said
    is "$code" 5
    holds grep -q '^/dev/pts/0' /tmp/said
    holds grep -q '^33 77' /tmp/said
    start busybox sleep 100
    script -qec 'sampan exec -it c tty' /dev/null </dev/null >/tmp/said
    holds grep -q '^/dev/pts/[0-9]' /tmp/said`,
  ),
  check(
    "cp both ways, and no link leads out",
    `
    start busybox sh -c 'ln -s / /out; mkdir /d; echo one >/d/file; echo ready; exec sleep 100'
    until sampan logs c | grep -q ready; do sleep 0.1; done
    sampan cp c:/d /tmp/got
    is "$(cat /tmp/got/file)" one
    echo two >/tmp/two
    sampan cp /tmp/two c:/d/two
    is "$(sampan exec c cat /d/two)" two
    sampan cp /tmp/two c:/out/tmp/escaped
    refused test -e /tmp/escaped
    is "$(sampan exec c cat /tmp/escaped)" two
    sampan stop -t 0 c
    sampan cp c:/d/two - | tar -xO >/tmp/said
    is "$(cat /tmp/said)" two`,
  ),
  check(
    "diff, commit, save and load of what was made",
    `
    start busybox sh -c 'echo mine >/mine; rm /bin/vi; ln -s mine /link'
    sampan wait c
    is "$(sampan diff c | xargs)" "C /bin D /bin/vi A /link A /mine"
    sampan commit c made
    is "$(sampan image inspect -f '{{.Architecture}}' made)" arm64
    is "$(sampan run --rm made sh -c 'cat /link; ls /bin/vi 2>&1')" "mine
ls: /bin/vi: No such file or directory"
    sampan save -o /tmp/made.tar made
    sampan rmi made >/dev/null
    sampan load -i /tmp/made.tar
    is "$(sampan run --rm made cat /mine)" mine`,
  ),
];

/** The guest's kernel has the modules for it. */
const NETWORK = [
  check(
    "a container on a bridge has an address, and its published port is reached",
    `
    command sampan run -d --name c -p 8080:80 busybox sh -c 'mkdir /www; echo page >/www/index.html; exec httpd -f -h /www'
    id=c
    is "$(sampan exec c ip -o -4 addr show eth0 | awk '{ print $4 }')" 172.17.0.2/16
    is "$(sampan port c | head -1)" "80/tcp -> 0.0.0.0:8080"
    is "$(wget -qO- http://127.0.0.1:8080/)" page`,
  ),
  check(
    "containers find each other by name",
    `
    sampan network create n
    command sampan run -d --name c --network n busybox sh -c 'mkdir /www; echo page >/www/index.html; exec httpd -f -h /www'
    id=c
    is "$(command sampan run --rm --network n busybox wget -qO- http://c/)" page
    sampan rm -f c
    sampan network rm n`,
  ),
];

/**
 * Of the suite itself: what meets the kernel by flags and layouts. The guest's filesystems take no attributes of users, and
 * it lacks the programs that most other files start.
 */
const SUITE = ["kernel/fs.test.ts", "kernel/kernel.test.ts -t ^(?!.*attributes)", "image/tree.test.ts"].map(
  (what) => {
    const [file = "", ...words] = what.split(" ");
    return check(
      `test/${file}`,
      `
    cd /repo
    BUN_BE_BUN=1 command sampan test --timeout 120000 ./test/${file} ${words.map((word) => `'${word}'`).join(" ")}`,
    );
  },
);

export const CHECKS: readonly Check[] = [
  ...MACHINE,
  ...SECCOMP,
  ...LIFE,
  ...NETWORK,
  ...COMMON,
  ...TRACES,
  ...SUITE,
];
