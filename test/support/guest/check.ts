/** What runs in a guest: shell scripts (busybox sh, -eu; exit 0 is success), each with what it holds to be true. */

export interface Check {
  readonly name: string;
  readonly script: string;
}

export const check = (name: string, script: string): Check => ({ name, script });

/** Three digits, so that the shell's order is the list's. */
export const checkNumber = (index: number): string => String(index).padStart(3, "0");

/**
 * Before each check. A container has no network unless `command sampan` starts it: most guests' kernels have no modules for
 * one. `start` makes the container `c`, which is removed however the check ends; `limit` reads its cgroup; `running` says
 * the pids of processes by a part of their command lines.
 */
export const PRELUDE = `
sampan() {
  if [ "$1" = run ]; then shift; set -- run --network none "$@"; fi
  command sampan "$@"
}
id=
trap '[ -z "$id" ] || sampan rm -f c >/dev/null 2>&1' EXIT
start() { id=$(sampan run -d --name c "$@"); folder=/sys/fs/cgroup/sampan/$id; }
limit() { cat "$folder/$1"; }
is() { [ "$1" = "$2" ] || { echo "is: $1"; echo "should be: $2"; exit 1; }; }
holds() { "$@" || { echo "should hold: $*"; exit 1; }; }
running() { ps -o pid,args >/tmp/processes; sed -n "s|^ *\\([0-9]*\\) .*$1.*|\\1|p" /tmp/processes; }
refused() { if "$@"; then echo "should fail: $*"; exit 1; fi; }
`;
