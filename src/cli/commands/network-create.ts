/** `sampan network create`: makes a network. */
import { Engine } from "../../engine.ts";
import type { NetworkWish, Subnet } from "../../network/index.ts";
import { command } from "../command.ts";
import { type Flags, UsageError, type Values } from "../flags.ts";
import { print } from "../output.ts";
import { readLabel, toMap } from "../run/labels.ts";
import { readSubnets } from "../run/subnets.ts";

const swarm = (): never => {
  throw new Error("it has a meaning in a swarm only");
};

const template = (): never => {
  throw new Error("no network here is a template for others: give each network its own flags");
};

const FLAGS = {
  attachable: { type: "bool", help: "Enable manual container attachment" },
  "aux-address": {
    type: "list",
    takes: "map",
    help: "Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])",
  },
  "config-from": { type: "string", hidden: true, help: "", read: template },
  "config-only": { type: "bool", hidden: true, help: "", read: template },
  driver: { type: "string", short: "d", help: 'Driver to manage the Network (default "bridge")' },
  gateway: { type: "list", help: "IPv4 or IPv6 Gateway for the master subnet" },
  ingress: { type: "bool", hidden: true, help: "", read: swarm },
  internal: { type: "bool", help: "Restrict external access to the network" },
  "ip-range": { type: "list", help: "Allocate container ip from a sub-range" },
  "ipam-driver": { type: "string", help: 'IP Address Management Driver (default "default")' },
  "ipam-opt": { type: "list", takes: "map", help: "Set IPAM driver specific options (default map[])" },
  ipv4: { type: "bool", help: "Enable or disable IPv4 address assignment (default true)" },
  ipv6: { type: "bool", help: "Enable or disable IPv6 address assignment" },
  label: { type: "list", read: readLabel, help: "Set metadata on a network" },
  opt: { type: "list", short: "o", takes: "map", help: "Set driver specific options (default map[])" },
  scope: {
    type: "string",
    hidden: true,
    help: "",
    read: (text: string) => (text === "local" ? text : swarm()),
  },
  subnet: { type: "list", help: "Subnet in CIDR format that represents a network segment" },
} as const satisfies Flags;

/** What the flags ask for; what is wrong with it is the engine's to say. */
export function networkWish(name: string, flags: Values<typeof FLAGS>): NetworkWish {
  const driver = flags["ipam-driver"];
  if (driver !== undefined && driver !== "default")
    throw new UsageError(`invalid IPAM driver: ${driver}: default is the only one here`);
  const subnets: Subnet[] = readSubnets({
    subnets: flags.subnet,
    gateways: flags.gateway,
    ranges: flags["ip-range"],
    auxiliary: toMap(flags["aux-address"]),
  });
  return {
    name,
    ...(flags.driver === undefined ? {} : { driver: flags.driver }),
    internal: flags.internal ?? false,
    attachable: flags.attachable ?? false,
    ipv4: flags.ipv4 ?? true,
    ipv6: flags.ipv6 ?? false,
    subnets,
    options: toMap(flags.opt),
    ipamOptions: toMap(flags["ipam-opt"]),
    labels: toMap(flags.label),
  };
}

export default command({
  usage: "[OPTIONS] NETWORK",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const wish = networkWish(args[0] ?? "", flags);
    print((await Engine.open(where).networks.create(wish)).id);
    return 0;
  },
});
