/**
 * The network of a container whose owner is not root: nobody may make a bridge for it, so a program in the host's network
 * namespace carries its packets in and out through sockets of the caller's own. pasta gives the container the host's own
 * addresses and is the quicker; slirp4netns makes a small network of its own. Either is the container's companion: it
 * is started by the plan, so also when the keeper starts the container again, and goes with it.
 */

import { SampanError } from "../common/error.ts";
import { accessSync, constants, readFileSync } from "../kernel/fs.ts";
import { findProgram } from "../kernel/programs.ts";
import type { Report, Step } from "../launch/index.ts";
import { LOOPBACK } from "./carried.ts";
import type { EndpointConfig, PublishedPort } from "./types.ts";

/** What this host has for it. */
export interface UplinkFacts {
  readonly pasta: string | undefined;
  readonly slirp: string | undefined;
  /** The caller may open /dev/net/tun. */
  readonly tun: boolean;
  /** There is a default route, from which pasta takes the container's addresses. */
  readonly route: boolean;
  /** Servers of the host's resolv.conf that only the host's own loopback reaches. */
  readonly loopbackServers: boolean;
}

export interface Uplink {
  readonly steps: readonly Step[];
  /** The server that the container is to ask; absent: those of the host. */
  readonly server?: string;
  /** Why there is no network. */
  readonly warning?: string;
}

export type Forwarded = Pick<PublishedPort, "protocol" | "address" | "port" | "target">;

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};

function mayOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

const DEFAULT_4 = /^\S+\t00000000\t/m;
const DEFAULT_6 = /^0{32} 00 .* (?!lo$)\S+$/m;

export function uplinkFacts(): UplinkFacts {
  const resolv = read("/etc/resolv.conf");
  return {
    pasta: findProgram("pasta"),
    slirp: findProgram("slirp4netns"),
    tun: mayOpen("/dev/net/tun"),
    route: DEFAULT_4.test(read("/proc/net/route")) || DEFAULT_6.test(read("/proc/net/ipv6_route")),
    loopbackServers: /^\s*nameserver\s+(127\.|::1)/m.test(resolv),
  };
}

/** Link-local, so that it is nobody's: what is asked there goes to the host's resolver. */
const PASTA_SERVER = "169.254.1.1";
const SLIRP_SERVER = "10.0.2.3";

/** Which program it is on this host, if any would do. */
export function uplinkName(facts = uplinkFacts()): "pasta" | "slirp4netns" | undefined {
  if (lack(facts) !== undefined) return undefined;
  return facts.pasta && facts.route ? "pasta" : "slirp4netns";
}

/** An uplink is one container's alone. */
export function refuseNetworks(asked: readonly EndpointConfig[]): void {
  for (const { network, links = [], ipv4, ipv6, mac } of asked) {
    const flags: readonly (readonly [flag: string, value: string | undefined])[] = [
      ["--network", network === "bridge" || network === "default" ? undefined : network],
      ["--link", links[0]],
      ["--ip", ipv4],
      ["--ip6", ipv6],
      ["--mac-address", mac],
    ];
    for (const [flag, value] of flags)
      if (value !== undefined)
        throw new SampanError(
          "refused",
          `${flag} ${value}: without root there are no networks of one's own`,
          {
            hint: "Leave it out, and the container has a network of its own; --network container:NAME shares another's.",
          },
        );
  }
}

/** `folder` is the container's run folder. */
export function uplink(folder: string, ports: readonly Forwarded[], facts = uplinkFacts()): Uplink {
  for (const { protocol, port } of ports)
    if (protocol === "sctp")
      throw new SampanError(
        "refused",
        `--publish ${port}/sctp: without root only tcp and udp can be published`,
        {
          hint: "Run the command as root, where the kernel itself forwards.",
        },
      );
  const why = lack(facts);
  if (why === undefined)
    return facts.pasta && uplinkName(facts) === "pasta"
      ? pasta(facts.pasta, folder, ports, facts)
      : slirp(facts.slirp ?? "", folder, ports);
  const [port] = ports;
  if (port)
    throw new SampanError("unavailable", `--publish ${port.port}: this container has no network: ${why}`);
  return { steps: [], warning: `the container has no network: ${why}` };
}

function lack({ pasta, slirp, tun, route }: UplinkFacts): string | undefined {
  if (!pasta && !slirp)
    return "neither pasta nor slirp4netns is installed, one of which every user's container needs (packages passt and slirp4netns)";
  if (!tun) return "/dev/net/tun cannot be opened (its mode should be 0666)";
  if (!slirp && !route)
    return "this machine has no default route, which pasta needs (package slirp4netns does without)";
  return undefined;
}

const isIp6 = ({ address }: Forwarded): boolean => address.includes(":");
/** Whether a port of this machine's IPv4 loopback is among its addresses. */
const onLoopback = ({ address }: Forwarded): boolean => address === "0.0.0.0" || address === LOOPBACK;

/**
 * What the program is asked for. By IPv6 pasta has a port only where there is a way out by IPv6, and what comes there is for programs
 * that listen by IPv6; slirp4netns has none. So whatever is published by IPv6 is carried to the port on IPv4 loopback (see carried.ts),
 * which the program has then, too.
 */
function asked(ports: readonly Forwarded[]): Forwarded[] {
  const four = ports.filter((port) => !isIp6(port));
  for (const six of ports.filter(isIp6)) {
    const same = four.find(
      (each) => each.protocol === six.protocol && each.port === six.port && onLoopback(each),
    );
    if (!same) four.push({ ...six, address: LOOPBACK });
    else if (same.target !== six.target)
      throw new SampanError(
        "refused",
        `--publish [${six.address}]:${six.port}:${six.target}: without root it is carried to ${LOOPBACK}:${six.port}, which leads to port ${same.target}`,
        { hint: "Publish one of them on another port of this machine." },
      );
  }
  return four;
}

const PASTA_FLAG = { tcp: "-t", udp: "-u", sctp: "" } as const;

/** `-t 0.0.0.0/8080:80` */
function pastaPorts(ports: readonly Forwarded[]): string[] {
  const words: string[] = [];
  for (const protocol of ["tcp", "udp"] as const) {
    const specs = ports
      .filter((port) => port.protocol === protocol)
      .map(({ address, port, target }) => `${address}/${port}:${target}`);
    for (const spec of specs.length > 0 ? specs : ["none"]) words.push(PASTA_FLAG[protocol], spec);
  }
  return words;
}

function pasta(program: string, folder: string, ports: readonly Forwarded[], facts: UplinkFacts): Uplink {
  const ready = `${folder}/pasta.pid`;
  const argv = [
    program,
    "--foreground",
    "--config-net",
    "--quiet",
    ...pastaPorts(asked(ports)),
    // What listens on the host's loopback is the host's own, and the container's loopback the container's.
    "-T",
    "none",
    "-U",
    "none",
    "--no-map-gw",
    ...(facts.loopbackServers ? ["--dns-forward", PASTA_SERVER] : []),
    "--pid",
    ready,
    "{pid}",
  ];
  return {
    steps: [{ call: "companion", column: "outside", why: "--network", argv, ready }],
    ...(facts.loopbackServers ? { server: PASTA_SERVER } : {}),
  };
}

function slirp(program: string, folder: string, ports: readonly Forwarded[]): Uplink {
  const socket = `${folder}/slirp.sock`;
  const argv = [
    program,
    "--configure",
    "--mtu=65520",
    "--disable-host-loopback",
    "--ready-fd=3",
    ...(ports.length > 0 ? [`--api-socket=${socket}`] : []),
    "{pid}",
    "tap0",
  ];
  const steps: Step[] = [{ call: "companion", column: "outside", why: "--network", argv }];
  for (const { protocol, address, port, target } of asked(ports)) {
    const request = {
      execute: "add_hostfwd",
      arguments: { proto: protocol, host_addr: address, host_port: port, guest_port: target },
    };
    steps.push({ call: "ask", column: "outside", why: "--publish", socket, text: JSON.stringify(request) });
  }
  return { steps, server: SLIRP_SERVER };
}

/** What a program that would not serve says, where it is a port that it could not have. */
export function explainUplink(step: Step, report: Pick<Report, "detail">): SampanError | undefined {
  const [, twice, number] = /Overlapping port specifier (\S+\/(\d+):\d+)/.exec(report.detail ?? "") ?? [];
  if (twice !== undefined)
    return new SampanError(
      "refused",
      `--publish ${twice.replace("/", ":")}: pasta takes a port of this machine once`,
      { hint: `Publish ${number} on one address, or on all of them.` },
    );
  const spec = /Failed to bind .*'-[tu] (?:(\S+)\/)?(\d+):/.exec(report.detail ?? "");
  const request = step.call === "ask" ? /"host_addr":"(.*?)","host_port":(\d+)/.exec(step.text) : undefined;
  const [, address = "0.0.0.0", port] = spec ?? request ?? [];
  if (port === undefined) return undefined;
  const least = Number(read("/proc/sys/net/ipv4/ip_unprivileged_port_start")) || 0;
  return Number(port) < least
    ? new SampanError("refused", `Bind for ${address}:${port} failed: ports below ${least} are root's`, {
        hint: `Publish another port, or let users have this one: sysctl net.ipv4.ip_unprivileged_port_start=${port}`,
      })
    : new SampanError("conflict", `Bind for ${address}:${port} failed: port is already allocated`, {
        hint: `\`ss -ltunp sport = :${port}\` says who has it.`,
      });
}
