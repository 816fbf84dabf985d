/** macvlan and ipvlan on parents that are made for them: links that lead nowhere, and VLANs. */
import { type Check, check } from "../support/guest/check.ts";

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

export const LINKS: readonly Check[] = [
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
