/**
 * SELinux, on a kernel that was booted with it and enforces a policy (policy.ts). Everything is asked of the kernel: what a
 * process is by its /proc/self/attr, what a file is by its attribute, what is allowed by trying it.
 */
import { type Check, check } from "../support/guest/check.ts";

/** A container that is labelled without saying more than that. */
const LABELLED = "--security-opt label=type:container_t";

const POLICY = [
  check(
    "a policy is loaded and enforced",
    `
    mount -t selinuxfs selinuxfs /sys/fs/selinux
    dd if=/policy of=/sys/fs/selinux/load bs=1M 2>/dev/null
    echo 1 >/sys/fs/selinux/enforce
    is "$(cat /proc/self/attr/current)" system_u:system_r:kernel_t:s0
    sampan load -i /busybox.tar`,
  ),
  check(
    "without the option a container has its maker's label, and files no other",
    `
    is "$(sampan run --rm busybox cat /proc/self/attr/current)" system_u:system_r:kernel_t:s0
    start busybox sleep 100
    is "$(sampan inspect -f '{{.ProcessLabel}}{{.MountLabel}}' c)" ""`,
  ),
];

const PROCESSES = [
  check(
    "a container's process is container_t of two categories of its own, as inspect says, and so is what exec starts",
    `
    start ${LABELLED} busybox sleep 100
    label=$(sampan inspect -f '{{.ProcessLabel}}' c)
    holds expr "$label" : 'system_u:system_r:container_t:s0:c[0-9]*,c[0-9]*$'
    is "$(cat "/proc/$(sampan inspect -f '{{.State.Pid}}' c)/attr/current")" "$label"
    is "$(sampan exec c cat /proc/self/attr/current)" "$label"
    is "$(sampan exec --privileged c cat /proc/self/attr/current)" "$label"
    is "$(sampan exec --user 1000 c cat /proc/self/attr/current)" "$label"`,
  ),
  check(
    "a health check has it, and a container in a user namespace of its own",
    `
    start ${LABELLED} --health-cmd 'cat /proc/self/attr/current' --health-interval 1s busybox sleep 100
    while [ "$(sampan inspect -f '{{len .State.Health.Log}}' c)" = 0 ]; do sleep 0.2; done
    is "$(sampan inspect -f '{{(index .State.Health.Log 0).Output}}' c | tr -d '\0')" "$(sampan inspect -f '{{.ProcessLabel}}' c)"
    options="--rm --userns private --security-opt label=level:s0:c5,c6"
    is "$(sampan run $options busybox sh -c 'cat /proc/self/attr/current && echo x >/dev/shm/x')" system_u:system_r:container_t:s0:c5,c6`,
  ),
  check(
    "two containers have different categories, and one that starts again keeps its own",
    `
    start ${LABELLED} busybox sleep 100
    label=$(sampan inspect -f '{{.ProcessLabel}}' c)
    refused test "$(sampan run --rm ${LABELLED} busybox cat /proc/self/attr/current)" = "$label"
    sampan restart -t 0 c
    is "$(sampan exec c cat /proc/self/attr/current)" "$label"`,
  ),
  check(
    "type, level and filetype are what was asked for",
    `
    options="--security-opt label=type:web_t --security-opt label=level:s0:c5,c6"
    is "$(sampan run --rm $options busybox cat /proc/self/attr/current)" system_u:system_r:web_t:s0:c5,c6
    start $options --security-opt label=filetype:web_file_t busybox sleep 100
    is "$(sampan inspect -f '{{.ProcessLabel}} {{.MountLabel}}' c)" "system_u:system_r:web_t:s0:c5,c6 system_u:object_r:web_file_t:s0:c5,c6"`,
  ),
  check(
    "label=disable and --privileged have none",
    `
    is "$(sampan run --rm --security-opt label=disable busybox cat /proc/self/attr/current)" system_u:system_r:kernel_t:s0
    is "$(sampan run --rm --privileged ${LABELLED} busybox cat /proc/self/attr/current)" system_u:system_r:kernel_t:s0`,
  ),
  check(
    "no-new-privileges, another user and a terminal keep it",
    `
    options="--rm --security-opt label=level:s0:c5,c6"
    is "$(sampan run $options --security-opt no-new-privileges busybox cat /proc/self/attr/current)" system_u:system_r:container_t:s0:c5,c6
    is "$(sampan run $options --user 1000:1000 busybox cat /proc/self/attr/current)" system_u:system_r:container_t:s0:c5,c6
    is "$(script -qec "sampan run -t --network none $options busybox cat /proc/self/attr/current" /dev/null | tr -d '\\r')" system_u:system_r:container_t:s0:c5,c6`,
  ),
  check(
    "a label that the policy does not have is refused by name, before anything is made",
    `
    refused sampan run --rm --security-opt label=type:nope_t busybox true 2>/tmp/why
    holds grep -q 'policy has no "system_u:system_r:nope_t:s0' /tmp/why
    refused sampan run --rm --security-opt label=kind:x busybox true 2>/tmp/why
    holds grep -q 'invalid --security-opt: "label=kind:x"' /tmp/why
    is "$(sampan ps -aq)" ""`,
  ),
  check(
    "the session keyring is the container's own",
    `
    is "$(sampan run --rm ${LABELLED} --security-opt systempaths=unconfined busybox grep -c _ses /proc/keys)" 1`,
  ),
  check(
    "a container that shares another's ipc namespace shares its label, and reads what that one wrote",
    `
    start ${LABELLED} --ipc shareable busybox sh -c 'echo hello >/dev/shm/hello; sleep 100'
    label=$(sampan inspect -f '{{.ProcessLabel}}' c)
    is "$(sampan run --rm ${LABELLED} --ipc container:c busybox cat /proc/self/attr/current /dev/shm/hello | tr -d '\\0')" "$label""hello"`,
  ),
  check(
    "the setting labels every container, but one that asks for none",
    `
    echo '{"selinux": true}' >/var/lib/sampan/config.json
    trap 'rm -f /var/lib/sampan/config.json; sampan rm -f c >/dev/null 2>&1' EXIT
    holds expr "$(sampan run --rm busybox cat /proc/self/attr/current)" : 'system_u:system_r:container_t:s0:c'
    is "$(sampan run --rm --security-opt label=disable busybox cat /proc/self/attr/current)" system_u:system_r:kernel_t:s0
    is "$(sampan run --rm --pid host busybox cat /proc/self/attr/current)" system_u:system_r:kernel_t:s0`,
  ),
];

const FILES = [
  check(
    "everything in a container's own root has its label: files, devices, terminals, shared memory",
    `
    start -t ${LABELLED} busybox sleep 100
    label=$(sampan inspect -f '{{.MountLabel}}' c)
    holds expr "$label" : 'system_u:object_r:container_file_t:s0:c[0-9]*,c[0-9]*$'
    pid=$(sampan inspect -f '{{.State.Pid}}' c)
    root=/proc/$pid/root
    for file in / /bin/busybox /dev /dev/shm /dev/pts/0 /etc/hosts /etc/resolv.conf /etc/hostname; do
      echo "$file"
      is "$(label "$root$file")" "$label"
    done
    for folder in / /dev /dev/pts /dev/shm; do
      holds grep -q " $folder .*context=\\"*$label" "/proc/$pid/mountinfo"
    done`,
  ),
  check(
    "it reads and writes its own files, and runs programs of its image",
    `
    start ${LABELLED} busybox sleep 100
    sampan exec c sh -c 'mkdir /own && echo x >/own/file && cat /own/file /etc/hosts /etc/resolv.conf && echo x >/dev/shm/x'
    sampan exec c sh -c 'cp /bin/busybox /own/echo && /own/echo hello && ln -s /own/file /link && mv /own /its && rm /its/file'`,
  ),
  check(
    "files of this machine that are bound are not the container's to read, until :z or :Z says so",
    `
    mkdir -p /tmp/folder/in && echo x >/tmp/folder/in/file && ln -s /etc/passwd /tmp/folder/link
    is "$(sampan run --rm -v /tmp/folder:/f busybox cat /f/in/file)" x
    refused sampan run --rm ${LABELLED} -v /tmp/folder:/f busybox cat /f/in/file 2>/tmp/why
    holds grep -q 'Permission denied' /tmp/why
    is "$(label /tmp/folder/in/file)" system_u:object_r:file_t:s0
    is "$(sampan run --rm ${LABELLED} -v /tmp/folder:/f:z busybox sh -c 'cat /f/in/file && touch /f/in/new')" x
    is "$(label /tmp/folder /tmp/folder/in /tmp/folder/in/file /tmp/folder/link | sort -u)" system_u:object_r:container_file_t:s0
    is "$(label /etc/passwd)" system_u:object_r:file_t:s0
    is "$(sampan run --rm ${LABELLED} -v /tmp/folder:/f busybox cat /f/in/file)" x`,
  ),
  check(
    ":Z is for one container: no other reads it",
    `
    mkdir -p /tmp/one && echo x >/tmp/one/file
    start ${LABELLED} -v /tmp/one:/f:ro,Z busybox sleep 100
    is "$(label /tmp/one/file)" "$(sampan inspect -f '{{.MountLabel}}' c)"
    is "$(sampan inspect -f '{{json .HostConfig.Binds}} {{(index .Mounts 0).Mode}}' c)" '["/tmp/one:/f:ro,Z"] ro,Z'
    is "$(sampan exec c cat /f/file)" x
    refused sampan run --rm ${LABELLED} -v /tmp/one:/f busybox cat /f/file 2>/tmp/why
    holds grep -q 'Permission denied' /tmp/why`,
  ),
  check(
    "what the machine itself lives on gets no other label",
    `
    for folder in / /etc /usr /root /lib/../tmp; do
      refused sampan run --rm ${LABELLED} -v "$folder:/f:z" busybox true 2>/tmp/why
      holds grep -q 'SELinux relabeling of .* is not allowed' /tmp/why
    done
    is "$(label /etc/passwd)" system_u:object_r:file_t:s0`,
  ),
  check(
    "volumes are of all containers, those of an image's content and a clone too",
    `
    sampan run --rm ${LABELLED} -v data:/data busybox sh -c 'echo x >/data/file'
    is "$(sampan run --rm ${LABELLED} -v data:/data busybox cat /data/file)" x
    is "$(sampan run --rm ${LABELLED} -v programs:/bin busybox echo hello)" hello
    is "$(sampan run --rm ${LABELLED} -v programs:/programs busybox /programs/echo hello)" hello
    sampan volume clone data copy >/dev/null
    is "$(sampan run --rm ${LABELLED} -v copy:/data busybox cat /data/file)" x
    sampan run --rm -v plain:/data busybox sh -c 'echo x >/data/file'
    is "$(sampan run --rm ${LABELLED} -v plain:/data busybox cat /data/file)" x
    sampan volume rm data programs copy plain`,
  ),
  check(
    "an image that is mounted and a folder beneath an overlay are read, and the folder keeps its label",
    `
    start busybox touch /first
    sampan wait c >/dev/null
    sampan commit c two >/dev/null
    is "$(sampan run --rm ${LABELLED} --mount type=image,source=busybox,target=/i busybox /i/bin/echo hello)" hello
    is "$(sampan run --rm ${LABELLED} --mount type=image,source=two,target=/i busybox sh -c 'ls /i/first && /i/bin/echo hello')" "/i/first
hello"
    mkdir -p /tmp/below && echo x >/tmp/below/file
    is "$(sampan run --rm ${LABELLED} --mount type=bind,source=/tmp/below,target=/f,overlay busybox sh -c 'cat /f/file && echo y >/f/file && cat /f/file')" "x
y"
    sampan rmi two >/dev/null
    is "$(label /tmp/below/file) $(cat /tmp/below/file)" "system_u:object_r:file_t:s0 x"`,
  ),
  check(
    "one container's process does not reach another's files by /proc",
    `
    start ${LABELLED} busybox sh -c 'echo secret >/secret; sleep 100'
    pid=$(sampan inspect -f '{{.State.Pid}}' c)
    is "$(sampan run --rm --pid host --cap-add ALL --security-opt label=disable busybox cat "/proc/$pid/root/secret")" secret
    refused sampan run --rm --pid host --cap-add ALL ${LABELLED} busybox cat "/proc/$pid/root/secret" 2>/tmp/why
    holds grep -q 'Permission denied' /tmp/why`,
  ),
  check(
    "cp, diff, commit and export work on a labelled container, and no label goes into the image",
    `
    start ${LABELLED} busybox sh -c 'echo x >/made; sleep 100'
    echo y >/tmp/given
    sampan cp /tmp/given c:/given
    is "$(sampan exec c cat /made /given)" "x
y"
    is "$(sampan diff c | grep -E 'given|made')" "A /given
A /made"
    sampan cp c:/made /tmp/made
    is "$(cat /tmp/made)" x
    sampan commit c made >/dev/null
    is "$(sampan run --rm made cat /made)" x
    file=$(find /var/lib/sampan/layers -name made)
    refused sh -c "label $file | grep :c"
    sampan rmi made >/dev/null`,
  ),
];

const SAID = [
  check(
    "doctor, info and explain say it",
    `
    start ${LABELLED} busybox sleep 100
    holds sh -c "sampan doctor | grep -q 'SELinux is on'"
    holds sh -c "sampan doctor | grep 'SELinux  .*enforces'"
    holds sh -c "sampan info -f '{{json .SecurityOptions}}' | grep -q name=selinux"
    holds sh -c "sampan explain c | grep -q 'container_t:s0:c'"`,
  ),
];

export const SELINUX: readonly Check[] = [...POLICY, ...PROCESSES, ...FILES, ...SAID];
