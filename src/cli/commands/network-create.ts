/** `sampan network create`: makes a network. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import type { NetworkWish, Subnet } from "../../network/index.ts";
import { command } from "../command.ts";
import type { Flags, Values } from "../flags.ts";
import { print } from "../output.ts";
import { readLabel, toMap } from "../run/labels.ts";
import { readSubnets } from "../run/subnets.ts";

/** What is well-formed and not to be had is no question of how the command is used: Docker's daemon says it. */
const refuse = (message: string): never => {
  throw new SampanError("invalid", message);
};

/** Flags of Docker's for what there is not, and why. */
function refuseAbsent(flags: Values<typeof FLAGS>): void {
  if (flags.ingress || (flags.scope ?? "local") !== "local")
    refuse(`--${flags.ingress ? "ingress" : `scope ${flags.scope}`}: it has a meaning in a swarm only`);
  const driver = flags["ipam-driver"] ?? "default";
  if (driver !== "default") refuse(`invalid IPAM driver: ${driver}: default is the only one here`);
}

const FLAGS = {
  attachable: { type: "bool", help: "Enable manual container attachment" },
  "aux-address": {
    type: "list",
    takes: "map",
    help: "Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])",
  },
  "config-from": { type: "string", help: "The network from which to copy the configuration" },
  "config-only": { type: "bool", help: "Create a configuration only network" },
  driver: { type: "string", short: "d", help: 'Driver to manage the Network (default "bridge")' },
  gateway: { type: "list", help: "IPv4 or IPv6 Gateway for the master subnet" },
  ingress: { type: "bool", hidden: true, help: "" },
  internal: { type: "bool", help: "Restrict external access to the network" },
  "ip-range": { type: "list", help: "Allocate container ip from a sub-range" },
  "ipam-driver": { type: "string", help: 'IP Address Management Driver (default "default")' },
  "ipam-opt": { type: "list", takes: "map", help: "Set IPAM driver specific options (default map[])" },
  ipv4: { type: "bool", help: "Enable or disable IPv4 address assignment (default true)" },
  ipv6: { type: "bool", help: "Enable or disable IPv6 address assignment" },
  label: { type: "list", read: readLabel, help: "Set metadata on a network" },
  opt: { type: "list", short: "o", takes: "map", help: "Set driver specific options (default map[])" },
  scope: { type: "string", hidden: true, help: "" },
  subnet: { type: "list", help: "Subnet in CIDR format that represents a network segment" },
} as const satisfies Flags;

/** What the flags ask for; what is wrong with it is the engine's to say. */
export function networkWish(name: string, flags: Values<typeof FLAGS>): NetworkWish {
  refuseAbsent(flags);
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
    ...(flags["config-only"] ? { configOnly: true as const } : {}),
    ...(flags["config-from"] ? { configFrom: flags["config-from"] } : {}),
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
