#!/bin/sh
# The guest's first process: a machine with nothing but cgroup v2, on which the checks run one after the other.
# What the console says is what report.ts reads: `check N`, the check's output, `ok N` or `not ok N CODE`.
export PATH=/bin HOME=/root

# The kernel's first root has no parent mount and cannot be pivoted away from, so make it one that has.
if [ "${1:-}" != moved ]; then
  mkdir -p /new
  mount -o bind / /new
  cd /new
  mount -o move . /
  exec chroot . /init moved
fi

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t securityfs security /sys/kernel/security
mkdir -p /dev/shm /dev/pts /dev/mqueue
mount -t devpts devpts /dev/pts
for folder in /dev/shm /tmp /run /var/lib; do mount -t tmpfs tmpfs "$folder"; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
while read -r module; do insmod "/modules/$module"; done </modules/order
ip link set lo up

for script in /checks/*; do
  number=${script##*/}
  echo "check $number"
  timeout 300 sh -eu "$script" </dev/null >/tmp/output 2>&1
  code=$?
  cat /tmp/output
  if [ $code = 0 ]; then echo "ok $number"; else echo "not ok $number $code"; fi
done
poweroff -f
