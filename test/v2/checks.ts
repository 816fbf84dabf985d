/**
 * What must hold on cgroup v2. The scripts look at the kernel's own files, not at what the engine says of them.
 */
import { type Check, check } from "../support/guest/check.ts";

const SETUP = [
  check(
    "the engine finds cgroup v2 and loads an image",
    `
    holds test -f /sys/fs/cgroup/cgroup.controllers
    sampan load -i /busybox.tar
    is "$(sampan run --rm busybox echo hello)" hello`,
  ),
  check(
    "info says cgroup version 2",
    `
    is "$(sampan info -f '{{.CgroupVersion}}')" 2`,
  ),
];

const LIMITS = [
  check(
    "--memory is memory.max, and swap of the same size again is allowed",
    `
    start --memory 64m busybox sleep 100
    is "$(limit memory.max)" 67108864
    is "$(limit memory.swap.max)" 67108864`,
  ),
  check(
    "--memory-swap counts memory and swap together",
    `
    start --memory 64m --memory-swap 96m busybox sleep 100
    is "$(limit memory.swap.max)" 33554432`,
  ),
  check(
    "--memory-swap -1 lifts the limit of swap only",
    `
    start --memory 64m --memory-swap -1 busybox sleep 100
    is "$(limit memory.max) $(limit memory.swap.max)" "67108864 max"`,
  ),
  check(
    "--memory-reservation is memory.low",
    `
    start --memory-reservation 32m busybox sleep 100
    is "$(limit memory.low)" 33554432`,
  ),
  check(
    "--cpus is cpu.max",
    `
    start --cpus 0.5 busybox sleep 100
    is "$(limit cpu.max)" "50000 100000"`,
  ),
  check(
    "--cpu-quota and --cpu-period are cpu.max",
    `
    start --cpu-quota 20000 --cpu-period 50000 busybox sleep 100
    is "$(limit cpu.max)" "20000 50000"`,
  ),
  check(
    "--cpu-shares is cpu.weight, on a curve on which both defaults meet",
    `
    start --cpu-shares 1024 busybox sleep 100
    is "$(limit cpu.weight)" 100
    sampan update --cpu-shares 512 c
    is "$(limit cpu.weight)" 59`,
  ),
  check(
    "--pids-limit is pids.max, and it is enforced",
    `
    start --pids-limit 5 busybox sleep 100
    is "$(limit pids.max)" 5
    refused sampan exec c sh -c 'for i in 1 2 3 4 5 6; do sleep 100 & done' 2>/dev/null`,
  ),
  check(
    "--cpuset-cpus is cpuset.cpus, and the process sees one processor",
    `
    start --cpuset-cpus 1 busybox sleep 100
    is "$(limit cpuset.cpus)" 1
    is "$(sampan exec c nproc)" 1`,
  ),
  check(
    "--cpuset-mems is cpuset.mems",
    `
    start --cpuset-mems 0 busybox sleep 100
    is "$(limit cpuset.mems)" 0`,
  ),
  check(
    "--blkio-weight is io.weight",
    `
    start --blkio-weight 500 busybox sleep 100
    is "$(limit io.weight | head -1)" "default 4950"`,
  ),
  check(
    "--device-read-bps and --device-write-iops are io.max",
    `
    start --device-read-bps /dev/nullb0:1mb --device-write-iops /dev/nullb0:50 busybox sleep 100
    number=$(cat /sys/block/nullb0/dev)
    is "$(limit io.max)" "$number rbps=1048576 wbps=max riops=max wiops=50"`,
  ),
  check(
    "without limits there are none",
    `
    start busybox sleep 100
    is "$(limit memory.max) $(limit memory.swap.max) $(limit pids.max)" "max max max"
    is "$(limit cpu.max)" "max 100000"`,
  ),
  check(
    "a limit that cgroup v2 does not have is refused by name",
    `
    refused sampan run --rm --memory-swappiness 10 busybox true 2>/tmp/why
    holds grep -q memory-swappiness /tmp/why`,
  ),
  check(
    "update changes the limits of a running container",
    `
    start --memory 64m --pids-limit 5 busybox sleep 100
    sampan update --memory 128m --memory-swap 128m --cpus 1.5 --pids-limit 9 c
    is "$(limit memory.max) $(limit memory.swap.max)" "134217728 0"
    is "$(limit cpu.max) $(limit pids.max)" "150000 100000 9"`,
  ),
  check(
    "a restarted container has its limits again",
    `
    start --memory 64m busybox sleep 100
    sampan restart -t 0 c
    is "$(limit memory.max)" 67108864
    is "$(cat "$folder/cgroup.procs")" "$(sampan inspect -f '{{.State.Pid}}' c)"`,
  ),
];

const ENDS = [
  check(
    "a process that takes too much is killed, and inspect says why",
    `
    code=0
    id=c
    sampan run --name c --memory 16m --memory-swap 16m busybox dd if=/dev/zero of=/dev/null bs=64M count=1 || code=$?
    is "$code" 137
    is "$(sampan inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' c)" "true 137"`,
  ),
  check(
    "one that was killed by hand is not said to be out of memory",
    `
    start --memory 16m busybox sleep 100
    sampan kill c
    is "$(sampan wait c)" 137
    is "$(sampan inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' c)" "false 137"`,
  ),
  check(
    "pause freezes every process, unpause thaws them",
    `
    start busybox sh -c 'while :; do echo; sleep 0.05; done'
    sampan pause c
    is "$(limit cgroup.freeze)" 1
    holds grep -q 'frozen 1' "$folder/cgroup.events"
    is "$(sampan inspect -f '{{.State.Status}}' c)" paused
    before=$(sampan logs c | wc -l)
    sleep 0.3
    is "$(sampan logs c | wc -l)" "$before"
    sampan unpause c
    is "$(limit cgroup.freeze)" 0
    sleep 0.5
    holds test "$(sampan logs c | wc -l)" -gt "$before"`,
  ),
  check(
    "a paused container can be removed",
    `
    start busybox sleep 100
    sampan pause c
    sampan rm -f c
    refused test -e "$folder"`,
  ),
  check(
    "everything in the cgroup dies with the container, also what pid 1 does not reap",
    `
    start --pid host busybox sh -c 'setsid sleep 7001 & setsid sleep 7002 & exec sleep 7003'
    is "$(wc -l <"$folder/cgroup.procs")" 3
    is "$(running 'sleep 700' | wc -l)" 3
    sampan kill c
    sampan wait c >/dev/null
    is "$(running 'sleep 700')" ""
    refused test -e "$folder"`,
  ),
];

/** The time of day is set here, by years: an order of things is what is looked at, never how long they take. */
const CLOCK = [
  check(
    "what was given an hour keeps it when the clock is set forward, and what was given a second has no more when it is set back",
    `
    now=$(date +%s)
    trap 'date -s "@$now" >/dev/null; [ -z "$id" ] || sampan rm -f c >/dev/null 2>&1' EXIT
    start --timeout 3600 --health-cmd 'echo >>/probes' --health-interval 3600s busybox sleep 5000
    date -s "@$((now + 300000000))" >/dev/null
    sampan kill -s CONT c # its keeper looks at its clock
    is "$(sampan inspect -f '{{.State.Status}} {{.State.Health.Status}}' c)" "running starting"
    refused sampan exec c test -e /probes
    holds expr "$(sampan ps --format '{{.Status}}')" : 'Up 9 years'
    sampan rm -f c
    start --timeout 2 busybox sleep 5000
    date -s "@$((now - 300000000))" >/dev/null
    is "$(timeout 60 sampan wait c)" 137
    is "$(sampan inspect -f '{{.State.Error}}' c)" "it was killed when the time that --timeout gave it was over"`,
  ),
  check(
    "health checks and restarts go on when the clock is set back",
    `
    now=$(date +%s)
    trap 'date -s "@$now" >/dev/null; [ -z "$id" ] || sampan rm -f c >/dev/null 2>&1' EXIT
    start --restart always --health-cmd 'echo >>/probes' --health-interval 1s busybox sh -c 'test ! -e /probes || sleep 1; sleep 3; exit 1'
    date -s "@$((now - 300000000))" >/dev/null
    for i in $(seq 600); do
      [ "$(sampan inspect -f '{{.RestartCount}}' c)" -lt 2 ] || break
      sleep 0.1
    done
    holds test "$(sampan inspect -f '{{.RestartCount}}' c)" -ge 2
    holds test "$(sampan exec c wc -l </probes 2>/dev/null || sampan export c | tar -xO probes | wc -l)" -ge 2`,
  ),
  check(
    "stop waits as long as it was told, and events are followed, whatever the clock is set to",
    `
    now=$(date +%s)
    trap 'date -s "@$now" >/dev/null; [ -z "$id" ] || sampan rm -f c >/dev/null 2>&1' EXIT
    said() { for i in $(seq 600); do ! grep -q "$1" "$2" || return 0; sleep 0.1; done; return 1; }
    sampan events >/tmp/followed &
    events=$!
    until grep -q . /tmp/followed; do sampan rm -f probe >/dev/null 2>&1; sampan create --name probe busybox true >/dev/null; done
    deaf='trap "echo asked" TERM; while :; do sleep 0.1; done'
    start busybox sh -c "$deaf"
    sampan stop -t 3600 c &
    stop=$!
    for i in $(seq 600); do [ -z "$(sampan logs c)" ] || break; sleep 0.1; done
    date -s "@$((now + 300000000))" >/dev/null
    sampan rename c d
    holds said 'container rename' /tmp/followed
    is "$(sampan ps --format '{{.Names}}')" d
    holds kill -0 $stop
    sampan rename d c
    sampan kill c
    wait $stop
    sampan start c >/dev/null
    sampan stop -t 3 c &
    stop=$!
    for i in $(seq 600); do [ "$(sampan logs c | wc -l)" -lt 2 ] || break; sleep 0.1; done
    date -s "@$((now - 300000000))" >/dev/null
    wait $stop
    is "$(sampan ps -q)" ""
    sampan create --name later busybox true
    holds said 'name=later' /tmp/followed
    kill $events
    sampan rm probe later`,
  ),
];

const DEVICES = [
  check(
    "the default devices open",
    `
    is "$(sampan run --rm busybox sh -c 'head -c 3 /dev/zero | wc -c; echo x >/dev/null; head -c 1 /dev/urandom | wc -c')" "3
1"`,
  ),
  check(
    "a node may be made for any device, but a forbidden one does not open",
    `
    number=$(tr : ' ' </sys/block/nullb0/dev)
    start busybox sleep 100
    sampan exec c mknod /tmp/disk b $number
    refused sampan exec c head -c 1 /tmp/disk 2>/tmp/why
    holds grep -q 'Operation not permitted' /tmp/why`,
  ),
  check(
    "--device allows what it says, reading alone if so",
    `
    is "$(sampan run --rm --device /dev/nullb0 busybox head -c 5 /dev/nullb0 | wc -c)" 5
    start --device /dev/nullb0:/dev/disk:r busybox sleep 100
    is "$(sampan exec c head -c 5 /dev/disk | wc -c)" 5
    refused sampan exec c sh -c 'echo x >/dev/disk' 2>/tmp/why
    holds grep -q 'Operation not permitted' /tmp/why`,
  ),
  check(
    "--device-cgroup-rule allows nodes that the container makes",
    `
    major=$(cut -d : -f 1 /sys/block/nullb0/dev)
    start --device-cgroup-rule "b $major:* rmw" busybox sleep 100
    sampan exec c mknod /tmp/disk b $(tr : ' ' </sys/block/nullb0/dev)
    is "$(sampan exec c head -c 5 /tmp/disk | wc -c)" 5`,
  ),
  check(
    "--privileged opens any device",
    `
    start --privileged busybox sleep 100
    is "$(sampan exec c head -c 5 /dev/nullb0 | wc -c)" 5`,
  ),
];

const VIEW = [
  check(
    "the container's cgroup is its root",
    `
    is "$(sampan run --rm busybox cat /proc/self/cgroup)" "0::/"
    start busybox sleep 100
    is "$(sampan exec c cat /proc/self/cgroup)" "0::/"`,
  ),
  check(
    "--cgroupns host shows the host's path",
    `
    start --cgroupns host busybox sleep 100
    is "$(sampan exec c cat /proc/1/cgroup)" "0::/sampan/$id"`,
  ),
  check(
    "the container reads its own limits and can change none",
    `
    start --memory 64m busybox sleep 100
    is "$(sampan exec c cat /sys/fs/cgroup/memory.max)" 67108864
    refused sampan exec c sh -c 'echo max >/sys/fs/cgroup/memory.max' 2>/dev/null
    refused sampan exec c mkdir /sys/fs/cgroup/own 2>/dev/null
    refused sampan exec c mount -o remount,rw /sys/fs/cgroup 2>/dev/null
    is "$(limit memory.max)" 67108864`,
  ),
  check(
    "in a user namespace of its own it sees its cgroup as well, with its limits",
    `
    start --userns private --memory 64m busybox sleep 100
    is "$(sampan exec c cat /proc/self/cgroup)" "0::/"
    is "$(sampan exec c cat /sys/fs/cgroup/memory.max) $(limit memory.max)" "67108864 67108864"
    refused sampan exec c sh -c 'echo max >/sys/fs/cgroup/memory.max' 2>/dev/null`,
  ),
  check(
    "--cgroup-parent puts it elsewhere",
    `
    start --cgroup-parent /elsewhere --pids-limit 5 busybox sleep 100
    folder=/sys/fs/cgroup/elsewhere/$id
    is "$(cat "$folder/pids.max")" 5
    sampan rm -f c
    refused test -e "$folder"`,
  ),
  check(
    "stats reads memory, processor time and processes",
    `
    start --memory 64m busybox sh -c 'sleep 100 & while :; do :; done'
    sleep 0.5
    line=$(sampan stats --no-stream --format '{{.PIDs}} {{.MemUsage}} {{.CPUPerc}}' c)
    echo "$line"
    holds expr "$line" : '2 [0-9.]*[KM]iB / 64MiB [1-9][0-9.]*%$'`,
  ),
];

/** Debian's kernel has AppArmor on. The profile was compiled where the guest was made: the guest has no compiler of it. */
const APPARMOR = [
  check(
    "without its profile a container runs unconfined",
    `
    is "$(sampan run --rm busybox cat /proc/self/attr/apparmor/current)" unconfined`,
  ),
  check(
    "a profile that is not loaded is refused by name",
    `
    refused sampan run --rm --security-opt apparmor=nope busybox true 2>/tmp/why
    is "$(cat /tmp/why)" 'sampan: writing "exec nope" to /proc/self/attr/apparmor/exec: no such file or directory, asked for by --security-opt apparmor=nope
No such profile is loaded: apparmor_parser -r FILE loads one, /sys/kernel/security/apparmor/profiles lists them.'`,
  ),
  check(
    "sampan-default, once loaded, confines containers and what exec starts in them",
    `
    cat /sampan-default >/sys/kernel/security/apparmor/.load
    is "$(sampan run --rm busybox cat /proc/self/attr/apparmor/current)" "sampan-default (enforce)"
    start busybox sleep 100
    is "$(sampan exec c cat /proc/self/attr/apparmor/current)" "sampan-default (enforce)"
    is "$(sampan exec --privileged c cat /proc/self/attr/apparmor/current)" unconfined
    sampan kill -s TERM c
    is "$(sampan run --rm --privileged busybox cat /proc/self/attr/apparmor/current)" unconfined
    is "$(sampan run --rm --privileged --security-opt apparmor=sampan-default busybox cat /proc/self/attr/apparmor/current)" "sampan-default (enforce)"
    is "$(sampan run --rm --security-opt apparmor=unconfined busybox cat /proc/self/attr/apparmor/current)" unconfined`,
  ),
  check(
    "it forbids what a capability would allow",
    `
    attack() { sampan run --rm --cap-add ALL --security-opt seccomp=unconfined --security-opt systempaths=unconfined "$@" 2>/tmp/why; }
    mount='mkdir -p /m && mount -t tmpfs tmpfs /m'
    attack --security-opt apparmor=unconfined busybox sh -c "$mount"
    refused attack busybox sh -c "$mount"
    holds grep -qi 'permission denied' /tmp/why
    old=$(cat /proc/sys/kernel/core_pattern)
    refused attack busybox sh -c 'echo "|/tmp/x" >/proc/sys/kernel/core_pattern'
    is "$(cat /proc/sys/kernel/core_pattern)" "$old"
    refused attack busybox head -c 1 /proc/kcore
    refused attack busybox sh -c 'echo h >/proc/sysrq-trigger'
    attack busybox sh -c 'echo 10 >/proc/self/oom_score_adj && touch /x && kill -0 1'
    start --cap-add ALL --security-opt seccomp=unconfined --security-opt systempaths=unconfined busybox sleep 100
    refused sampan exec c sh -c "$mount" 2>/dev/null
    refused sampan exec c sh -c 'echo h >/proc/sysrq-trigger' 2>/dev/null
    sampan exec --privileged c sh -c "$mount"`,
  ),
];

const LAYERS = [
  check(
    "more layers than one page of mount options has room for",
    `
    sampan load -i /layers.tar >/dev/null
    is "$(sampan run --rm layers cat /first /last)" "first
last"`,
  ),
];

/** What needs a kernel of Debian 12, and a user to whom a part of the cgroups was given. */
const HOST = [
  check(
    "the image host is this machine, with a copy to write to",
    `
    sampan run --rm host sh -c 'rm /bin/ls && echo mine >/etc/passwd'
    holds ls /bin/ls
    refused grep mine /etc/passwd`,
  ),
  check(
    "a user sets limits in the cgroup that was delegated",
    `
    cd /sys/fs/cgroup
    echo "+memory +pids" >cgroup.subtree_control
    mkdir -p user/session
    chown -R 1000 user
    mkdir -p /tmp/home /tmp/home/run
    chown -R 1000 /tmp/home
    cat >/tmp/script <<'END'
cd /tmp/home
export HOME=/tmp/home XDG_RUNTIME_DIR=/tmp/home/run
sampan load -i /busybox.tar
sampan run -d --name u --memory 64m --pids-limit 5 busybox sleep 100
find /sys/fs/cgroup/user -name memory.max -path "*$(sampan inspect -f '{{.Id}}' u)*" -exec cat {} +
sampan rm -f u
END
    echo $$ >user/session/cgroup.procs
    is "$(su user -s /bin/sh -c 'sh -eu /tmp/script' 2>&1 | tail -2)" "67108864
u"`,
  ),
];

/** Last: it looks at what all others left. */
export const TRACES = [
  check(
    "nothing is left: no cgroup, no container, no process",
    `
    is "$(find /sys/fs/cgroup/sampan -mindepth 1 -type d)" ""
    is "$(sampan ps -aq)" ""
    is "$(running sampan-launcher)" ""`,
  ),
];

/** What a kernel of any processor must hold to; the image `busybox` is loaded. */
export const COMMON: readonly Check[] = [...LIMITS, ...ENDS, ...DEVICES, ...VIEW, ...APPARMOR, ...HOST];

export const CHECKS: readonly Check[] = [...SETUP, ...COMMON, ...CLOCK, ...LAYERS, ...TRACES];
