/** The engine's own table as it is encoded, against what nft says of the same rules written by hand. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { NETLINK, NetlinkWriter } from "../../src/kernel/netlink.ts";
import {
  beginBatch,
  deleteTable,
  elements,
  endBatch,
  ensureTable,
  fillTable,
} from "../../src/kernel/nftables.ts";
import { nameBytes, ownSubnet, pairOf, publishedElement } from "../../src/network/elements.ts";
import { table } from "../../src/network/ruleset.ts";
import { NetworkNamespace } from "../support/netns.ts";

const TEXT = `table inet sampan {
	set bridges {
		type ifname
		elements = { "sampan0",
			     "br-0123456789ab" }
	}

	set internal {
		type ifname
	}

	set open {
		type ifname . ifname
		elements = { "sampan0" . "sampan0" }
	}

	set own4 {
		type ipv4_addr . ifname
		flags interval
		elements = { 172.17.0.0/16 . "sampan0" }
	}

	set own6 {
		type ipv6_addr . ifname
		flags interval
		elements = { fd00::/64 . "sampan0" }
	}

	set masquerade4 {
		type ipv4_addr
		flags interval
		elements = { 172.17.0.0/16 }
	}

	set masquerade6 {
		type ipv6_addr
		flags interval
		elements = { fd00::/64 }
	}

	map any4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 8080 : 172.17.0.2 . 80,
			     sctp . 9 : 172.17.0.3 . 9 }
	}

	map any6 {
		type inet_proto . inet_service : ipv6_addr . inet_service
		elements = { tcp . 8080 : fd00::2 . 80 }
	}

	map one4 {
		type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
		elements = { udp . 127.0.0.1 . 53 : 172.17.0.2 . 5353 }
	}

	map one6 {
		type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service
		elements = { tcp . fe80::1 . 443 : fd00::2 . 8443 }
	}

	chain raw {
		type filter hook prerouting priority raw; policy accept;
		iifname @bridges ip daddr 127.0.0.0/8 drop
		iifname @internal ip saddr . iifname != @own4 drop
	}

	chain publish {
		dnat ip to meta l4proto . ip daddr . th dport map @one4
		dnat ip6 to meta l4proto . ip6 daddr . th dport map @one6
		meta nfproto ipv4 dnat ip to meta l4proto . th dport map @any4
		meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @any6
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 127.0.0.0/8 return
		fib daddr type local jump publish
	}

	chain output {
		type nat hook output priority -100; policy accept;
		ip6 daddr ::1 return
		fib daddr type local jump publish
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname @bridges ip saddr 127.0.0.0/8 masquerade
		ct status dnat ip saddr . oifname @own4 masquerade
		ct status dnat ip6 saddr . oifname @own6 masquerade
		oifname @bridges return
		ip saddr @masquerade4 masquerade
		ip6 saddr @masquerade6 masquerade
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname . oifname @open accept
		iifname @internal drop
		oifname @internal drop
		ct state established,related accept
		ct status dnat accept
		oifname @bridges drop
	}
}
`;

const ip = (text: string): Uint8Array => Uint8Array.from(text.split("."), Number);
const ip6 = (first: number, last: number, fill = 0): Uint8Array => {
  const bytes = new Uint8Array(16).fill(fill, 8);
  bytes.set([first >> 8, first & 0xff]);
  if (fill === 0) bytes[15] = last;
  return bytes;
};

/** Everything of an nft listing but the order of a set's elements, which is chance. */
const comparable = (text: string): string[] =>
  text
    .replaceAll(/elements = \{([^}]*)\}/g, (_, list: string) =>
      list
        .split(",")
        .map((one) => one.trim())
        .sort()
        .join(", "),
    )
    .split("\n");

let host: NetworkNamespace;
beforeAll(async () => {
  host = await NetworkNamespace.make();
});
afterAll(() => host[Symbol.dispose]());

async function batch(write: (w: NetlinkWriter) => void): Promise<void> {
  const w = new NetlinkWriter();
  beginBatch(w);
  write(w);
  endBatch(w);
  await host.send(NETLINK.netfilter, w.done());
}

test("the table is what nft would make of its text, twice over", async () => {
  for (let round = 0; round < 2; round++)
    await batch((w) => {
      ensureTable(w, "sampan");
      deleteTable(w, "sampan");
      ensureTable(w, "sampan");
      fillTable(w, table("sampan"));
      elements(w, "add", "sampan", "bridges", [
        { key: nameBytes("sampan0") },
        { key: nameBytes("br-0123456789ab") },
      ]);
      elements(w, "add", "sampan", "open", [pairOf("sampan0")]);
      elements(
        w,
        "add",
        "sampan",
        "own4",
        [ownSubnet(ip("172.17.0.0"), ip("172.17.255.255"), "sampan0")],
        true,
      );
      elements(w, "add", "sampan", "own6", [ownSubnet(ip6(0xfd00, 0), ip6(0xfd00, 0, 255), "sampan0")], true);
      elements(w, "add", "sampan", "masquerade4", [{ key: ip("172.17.0.0"), end: ip("172.18.0.0") }]);
      const end = ip6(0xfd00, 0);
      end[7] = 1;
      elements(w, "add", "sampan", "masquerade6", [{ key: ip6(0xfd00, 0), end }]);
    });
  const ports = [
    publishedElement({ protocol: "tcp", port: 8080, destination: ip("172.17.0.2"), target: 80 }),
    publishedElement({ protocol: "sctp", port: 9, destination: ip("172.17.0.3"), target: 9 }),
    publishedElement({ protocol: "tcp", port: 8080, destination: ip6(0xfd00, 2), target: 80 }),
    publishedElement({
      protocol: "udp",
      address: ip("127.0.0.1"),
      port: 53,
      destination: ip("172.17.0.2"),
      target: 5353,
    }),
    publishedElement({
      protocol: "tcp",
      address: ip6(0xfe80, 1),
      port: 443,
      destination: ip6(0xfd00, 2),
      target: 8443,
    }),
  ];
  await batch((w) => {
    for (const { map, element } of ports) elements(w, "add", "sampan", map, [element]);
  });
  expect(comparable(host.run("nft", "list", "table", "inet", "sampan"))).toEqual(comparable(TEXT));
});
