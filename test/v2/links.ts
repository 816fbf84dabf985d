/**
 * Links that few kernels have at hand: macvlan and ipvlan on parents that are made for them, on Debian's kernel with its modules.
 * A boot of its own, in `npm run test:v2`.
 */
import { HERE } from "../support/guest/architecture.ts";
import { check } from "../support/guest/check.ts";
import { inGuest } from "../support/guest/report.ts";

/** A network, and two containers on it of which the first serves a page. */
const pair = (...flags: string[]): string => `
  sampan network create ${flags.join(" ")} n
  page='mkdir /www; echo page >/www/index.html; exec httpd -f -h /www'
  command sampan run -d --name c --network n busybox sh -c "$page"
  id=c
  is "$(command sampan run --rm --network n busybox wget -qO- http://c/)" page`;
const DONE = `
  sampan rm -f c
  sampan network rm n
  gone() { while ip link show "$1" >/dev/null 2>&1; do sleep 0.1; done; }`;

const CHECKS = [
  check("the engine loads an image", "sampan load -i /busybox.tar; ip link set lo up"),
  ...(["macvlan", "ipvlan", "ipvlan -o ipvlan_mode=l3"] as const).map((driver) =>
    check(
      `${driver} without a parent: a dummy, by name`,
      `${pair("-d", driver)}
      parent=dm-$(sampan network inspect -f '{{.Id}}' n | cut -c1-12)
      holds ip link show $parent
      holds test -e /sys/devices/virtual/net/$parent
      ${DONE}
      gone $parent`,
    ),
  ),
  ...(["macvlan", "ipvlan"] as const).map((driver) =>
    check(
      `${driver} on a VLAN that is not there`,
      `ip link add far type dummy; ip link set far up
      ${pair("-d", driver, "-o", "parent=far.10")}
      holds grep -q '^far.10 .*| 10 .*| far$' /proc/net/vlan/config
      ${DONE}
      gone far.10
      ip link del far`,
    ),
  ),
];

inGuest("links of Debian's kernel", {
  architecture: HERE,
  checks: CHECKS,
  timeout: 600_000,
  modules: [
    ..."veth bridge nf_tables nft_chain_nat nft_ct nft_nat nft_masq nft_fib_inet".split(" "),
    ..."macvlan ipvlan dummy 8021q".split(" "),
  ],
});
