/** ipvlan: its parents are dummies, which carry nothing, so that whoever answers is on the same one. */
import { type Check, check } from "../support/guest/check.ts";

/** `serve NAME NETWORK [OPTION…]`: a container that stays; `from NAME ADDRESS` asks it to reach an address. */
const WORDS = `
run() { command sampan run "$@"; }
serve() { name=$1 network=$2; shift 2; run -d --name "$name" --network "$network" "$@" busybox sleep 1000 >/dev/null; }
from() { sampan exec "$1" ping -c 1 -W 5 "$2" >/dev/null; }
deaf() { sampan exec "$1" ping -c 1 -W 1 "$2" >/dev/null; }
address() { sampan exec "$1" ip -4 -o addr show eth0 | sed 's/.*inet \\([^ ]*\\).*/\\1/'; }
trap 'sampan rm -f a b c >/dev/null 2>&1; sampan network prune -f >/dev/null 2>&1' EXIT
`;

const connected = (name: string, script: string): Check => check(name, WORDS + script);

export const IPVLAN: readonly Check[] = [
  check(
    "the engine loads an image; the machine has two links that lead nowhere",
    `
    sampan load -i /busybox.tar
    ip link add par0 type dummy && ip link set par0 up
    ip link add par1 type dummy && ip link set par1 up`,
  ),
  connected(
    "l2: containers have addresses on the parent's card, reach each other by address and by name, and have its MAC",
    `
    sampan network create -d ipvlan -o parent=par0 --subnet 10.50.0.0/24 --gateway 10.50.0.1 wire
    serve a wire && serve b wire --ip 10.50.0.77
    is "$(address a) $(address b)" "10.50.0.2/24 10.50.0.77/24"
    from a 10.50.0.77 && from b 10.50.0.2 && from a b
    refused sh -c 'sampan exec a ip link show eth0 | grep NOARP'
    is "$(sampan exec a cat /sys/class/net/eth0/address)" "$(cat /sys/class/net/par0/address)"
    holds sh -c 'sampan exec a ip route | grep -q "default via 10.50.0.1 dev eth0"'`,
  ),
  connected(
    "l3: no gateway, and containers of two networks on one parent reach each other",
    `
    sampan network create -d ipvlan -o parent=par0 -o ipvlan_mode=l3 --subnet 10.51.0.0/24 one
    sampan network create -d ipvlan -o parent=par0 -o ipvlan_mode=l3 --subnet 10.52.0.0/24 two
    serve a one && serve b two && serve c one
    is "$(address a) $(address b)" "10.51.0.2/24 10.52.0.2/24"
    from a 10.52.0.2 && from b 10.51.0.2 && from a 10.51.0.3 && from a c
    holds sh -c 'sampan exec a ip link show eth0 | grep -q NOARP'
    holds sh -c 'sampan exec a ip route | grep -q "^default dev eth0"'
    refused sh -c 'sampan exec a ip route | grep via'`,
  ),
  connected(
    "l3s routes too",
    `
    sampan network create -d ipvlan -o parent=par0 -o ipvlan_mode=l3s --subnet 10.53.0.0/24 wire
    serve a wire && serve b wire
    from a 10.53.0.3
    holds sh -c 'sampan exec a ip link show eth0 | grep -q NOARP'`,
  ),
  connected(
    "ipvlan_flag=private keeps them apart, and so does another parent",
    `
    sampan network create -d ipvlan -o parent=par0 -o ipvlan_flag=private --subnet 10.54.0.0/24 wire
    serve a wire && serve b wire
    refused deaf a 10.54.0.3
    sampan rm -f a b && sampan network rm wire
    sampan network create -d ipvlan -o parent=par0 --subnet 10.54.0.0/24 one
    sampan network create -d ipvlan -o parent=par1 --subnet 10.55.0.0/24 two
    serve a one && serve b two
    refused deaf a 10.55.0.2`,
  ),
  connected(
    "IPv6, in l2 and in l3",
    `
    for mode in l2 l3; do
      sampan network create -d ipvlan -o parent=par1 -o ipvlan_mode=$mode --ipv6 --subnet 10.56.0.0/24 --subnet fd00:56::/64 wire
      serve a wire && serve b wire --ip6 fd00:56::77
      from a fd00:56::77
      sampan rm -f a b && sampan network rm wire
    done`,
  ),
  connected(
    "--internal has no way out; connect, disconnect and a restart work as on a bridge",
    `
    sampan network create -d ipvlan -o parent=par0 --internal --subnet 10.57.0.0/24 wire
    sampan network create -d ipvlan -o parent=par1 --subnet 10.58.0.0/24 other
    serve a wire && serve b other
    refused sh -c 'sampan exec a ip route | grep default'
    sampan network connect other a
    from a 10.58.0.2
    sampan network disconnect other a
    refused deaf a 10.58.0.2
    sampan restart -t 0 b
    serve c other
    from c 10.58.0.2`,
  ),
  connected(
    "with its containers the machine's links are as before",
    `
    before=$(ls /sys/class/net)
    sampan network create -d ipvlan -o parent=par0 --subnet 10.59.0.0/24 wire
    serve a wire
    sampan rm -f a && sampan network rm wire
    is "$(ls /sys/class/net)" "$before"`,
  ),
];
