/** Which program carries a user's packets, with which words, and what is said where none can. */
import { describe, expect, test } from "bun:test";
import {
  explainUplink,
  type Forwarded,
  refuseNetworks,
  type UplinkFacts,
  uplink,
} from "../../src/network/uplink.ts";

const FACTS: UplinkFacts = {
  pasta: "/usr/bin/pasta",
  slirp: "/usr/bin/slirp4netns",
  tun: true,
  route: true,
  loopbackServers: false,
};
const WEB: Forwarded = { protocol: "tcp", address: "0.0.0.0", port: 8080, target: 80 };
const words = (ports: readonly Forwarded[], facts: Partial<UplinkFacts> = {}): string =>
  uplink("/run/x", ports, { ...FACTS, ...facts })
    .steps.map((step) =>
      step.call === "companion" ? step.argv.join(" ") : step.call === "ask" ? step.text : "",
    )
    .join("\n");

describe("pasta", () => {
  test("gives the container a network and nothing of the host's loopback", () => {
    expect(words([])).toBe(
      "/usr/bin/pasta --foreground --config-net --quiet -t none -u none -T none -U none --no-map-gw --pid /run/x/pasta.pid {pid}",
    );
  });

  test("publishes by IPv4, and has on loopback what is carried to it from IPv6", () => {
    const both: Forwarded[] = [WEB, { ...WEB, address: "::" }];
    expect(words([WEB])).toContain("-t 0.0.0.0/8080:80 -u none");
    expect(words(both)).toContain("-t 0.0.0.0/8080:80 -u none");
    expect(words([{ ...WEB, address: "127.0.0.1", protocol: "udp" }])).toContain(
      "-t none -u 127.0.0.1/8080:80",
    );
    expect(words([{ ...WEB, address: "::1" }])).toContain("-t 127.0.0.1/8080:80 -u none");
    const two: Forwarded[] = [WEB, { ...WEB, address: "::1", target: 81 }];
    expect(() => words(two)).toThrow(
      "--publish [::1]:8080:81: without root it is carried to 127.0.0.1:8080, which leads to port 80",
    );
  });

  test("forwards questions where the host's resolver is on its loopback", () => {
    const link = uplink("/run/x", [], { ...FACTS, loopbackServers: true });
    expect(link.server).toBe("169.254.1.1");
    expect(words([], { loopbackServers: true })).toContain("--dns-forward 169.254.1.1");
    expect(uplink("/run/x", [], FACTS).server).toBeUndefined();
  });
});

describe("slirp4netns", () => {
  test("serves where pasta is missing or has no route to copy", () => {
    const argv =
      "/usr/bin/slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=3 {pid} tap0";
    expect(words([], { pasta: undefined })).toBe(argv);
    expect(words([], { route: false })).toBe(argv);
    expect(uplink("/run/x", [], { ...FACTS, pasta: undefined }).server).toBe("10.0.2.3");
  });

  test("is asked for each port", () => {
    expect(words([WEB, { ...WEB, address: "::" }], { pasta: undefined })).toEndWith(
      'tap0\n{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"0.0.0.0","host_port":8080,"guest_port":80}}',
    );
  });
});

describe("without either", () => {
  const none = { ...FACTS, pasta: undefined, slirp: undefined };
  const why =
    "neither pasta nor slirp4netns is installed, one of which every user's container needs (packages passt and slirp4netns)";

  test("the container has no network, and the reason is said", () => {
    expect(uplink("/run/x", [], none)).toEqual({
      steps: [],
      warning: `the container has no network: ${why}`,
    });
    expect(uplink("/run/x", [], { ...FACTS, tun: false }).warning).toBe(
      "the container has no network: /dev/net/tun cannot be opened (its mode should be 0666)",
    );
    expect(uplink("/run/x", [], { ...FACTS, slirp: undefined, route: false }).warning).toBe(
      "the container has no network: this machine has no default route, which pasta needs (package slirp4netns does without)",
    );
  });

  test("a port cannot be published", () => {
    expect(() => uplink("/run/x", [WEB], none)).toThrow(
      `--publish 8080: this container has no network: ${why}`,
    );
    expect(() => uplink("/run/x", [{ ...WEB, protocol: "sctp" }], FACTS)).toThrow(
      "--publish 8080/sctp: without root only tcp and udp can be published",
    );
  });
});

test("a network of one's own is refused by name", () => {
  expect(() => refuseNetworks([{ network: "front" }])).toThrow(
    "--network front: without root there are no networks of one's own",
  );
  expect(() => refuseNetworks([{ network: "bridge" }])).not.toThrow();
});

test("a port that could not be had is an error that names it", () => {
  const step = { call: "companion", column: "outside", why: "", argv: [] } as const;
  const said = (port: number) =>
    explainUplink(step, { detail: `Failed to bind any port for '-t 127.0.0.1/${port}:80', exiting` })
      ?.message;
  expect(said(8081)).toBe("Bind for 127.0.0.1:8081 failed: port is already allocated");
  expect(explainUplink(step, { detail: "Overlapping port specifier 127.0.0.1/8080:80" })?.message).toBe(
    "--publish 127.0.0.1:8080:80: pasta takes a port of this machine once",
  );
  expect(explainUplink(step, { detail: "External interface not usable" })).toBeUndefined();
});
