/** Published ports of SCTP, which the machine of the other tests may not speak: associations from everywhere that a port is said to answer. */
import { type Check, check } from "../support/guest/check.ts";

/** `serve NAME [OPTION…]`: a container that answers on port 80; `peer` runs something on another machine, 192.0.2.1. */
const WORDS = `
serve() {
  name=$1; shift
  command sampan run -d --name "$name" -v /bin/sctp:/bin/sctp:ro "$@" busybox sctp serve 80 >/dev/null
  until sampan logs "$name" | grep -q serves; do sleep 0.1; done
}
ask() { timeout 20 sctp ask "$@"; }
other() { command sampan run --rm -v /bin/sctp:/bin/sctp:ro "$@"; }
address() { sampan inspect -f '{{range .NetworkSettings.Networks}}{{.'$2'}}{{end}}' "$1"; }
peer() { nsenter -n -t "$(cat /tmp/peer)" timeout 20 sctp "$@"; }
trap 'sampan rm -f a b >/dev/null 2>&1; sampan network prune -f >/dev/null 2>&1' EXIT
`;

const sctp = (name: string, script: string): Check => check(name, WORDS + script);

export const SCTP: readonly Check[] = [
  check(
    "this kernel speaks SCTP, and the machine has a neighbour",
    `
    sctp serve 5000 >/tmp/serves &
    until grep -q serves /tmp/serves; do sleep 0.1; done
    is "$(sctp ask 127.0.0.1 5000 hello)" "hello from 127.0.0.1"
    kill $!
    unshare -n sleep 100000 &
    echo $! >/tmp/peer
    while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
    ip link add up0 type veth
    ip link set veth0 name out0 netns $!
    ip addr add 192.0.2.10/24 dev up0 && ip addr add fd00:2::10/64 dev up0 && ip link set up0 up
    nsenter -n -t $! sh -c 'ip addr add 192.0.2.1/24 dev out0; ip addr add fd00:2::1/64 dev out0; ip link set out0 up; ip link set lo up'`,
  ),
  sctp(
    "answers this machine on each of its addresses, others with their own address, other containers and itself",
    `
    serve a -p 8080:80/sctp
    gateway=$(address a Gateway)
    is "$(ask 127.0.0.1 8080 one)" "one from $gateway"
    is "$(ask 192.0.2.10 8080 two)" "two from 192.0.2.10"
    is "$(peer ask 192.0.2.10 8080 three)" "three from 192.0.2.1"
    is "$(sampan exec a sctp ask 192.0.2.10 8080 four)" "four from $gateway"
    sampan network create n >/dev/null
    other --network n busybox sctp ask 192.0.2.10 8080 five | grep '^five from '
    sampan network rm n`,
  ),
  sctp(
    "one address alone; IPv6 to a network that has it",
    `
    sampan network create --ipv6 --subnet 10.70.0.0/24 --subnet fd00:70::/64 n >/dev/null
    serve a --network n -p 8080:80/sctp
    is "$(ask 192.0.2.10 8080 one)" "one from 192.0.2.10"
    is "$(ask fd00:2::10 8080 two)" "two from fd00:2::10"
    is "$(peer ask fd00:2::10 8080 three)" "three from fd00:2::1"
    sampan rm -f a
    serve a -p 192.0.2.10:8080:80/sctp
    is "$(peer ask 192.0.2.10 8080 four)" "four from 192.0.2.1"
    refused ask 127.0.0.1 8080 five
    sampan network rm n`,
  ),
  sctp(
    "the port is the container's while it runs, and the error names a program that has it",
    `
    serve a -p 8080:80/sctp
    refused timeout 5 sctp serve 8080 2>/tmp/why
    cat /tmp/why
    holds grep -q 'already in use' /tmp/why
    refused command sampan run -d --name b -p 8080:80/sctp busybox sleep 1000 2>/tmp/why
    holds grep -q 'port is already allocated' /tmp/why
    sampan rm -f a b
    sctp serve 8080 >/tmp/serves &
    until grep -q serves /tmp/serves; do sleep 0.1; done
    refused command sampan run -d --name b -p 8080:80/sctp busybox sleep 1000 2>/tmp/why
    cat /tmp/why /proc/net/sctp/eps
    holds grep -q '8080/sctp: address already in use' /tmp/why
    holds grep -q "Process $! (sctp) has it" /tmp/why
    kill $!`,
  ),
];
