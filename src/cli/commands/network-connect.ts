/** `sampan network connect`: one more network for a container, at once if it runs. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { toMap } from "../run/labels.ts";
import { readIp, readLinkLocal } from "../run/network.ts";

const FLAGS = {
  alias: { type: "list", help: "Add network-scoped alias for the container" },
  "driver-opt": { type: "list", help: "driver options for the network" },
  "gw-priority": {
    type: "int",
    help: "Highest gw-priority provides the default gateway. Accepts positive and negative values",
  },
  ip: { type: "string", help: 'IPv4 address (e.g., "172.30.100.104")' },
  ip6: { type: "string", help: 'IPv6 address (e.g., "2001:db8::33")' },
  link: { type: "list", help: "Add link to another container" },
  "link-local-ip": { type: "list", help: "Add a link-local address for the container" },
} as const satisfies Flags;

/** What an address is wrong about is no question of how the command is used: Docker's daemon says it. */
const wrong = (message: string): never => {
  throw new SampanError("invalid", message);
};

export default command({
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: FLAGS,
  least: 2,
  most: 2,
  async run({ flags, args: [network = "", container = ""], where }) {
    const options = toMap(flags["driver-opt"]);
    await Engine.open(where).containers.connect(container, {
      network,
      ...(flags.alias.length > 0 ? { aliases: flags.alias } : {}),
      ...(flags.link.length > 0 ? { links: flags.link } : {}),
      ...(flags.ip === undefined ? {} : { ipv4: readIp(flags.ip, 4, wrong) }),
      ...(flags["link-local-ip"].length > 0
        ? { linkLocal: flags["link-local-ip"].map((text) => readLinkLocal(text, wrong)) }
        : {}),
      ...(flags.ip6 === undefined ? {} : { ipv6: readIp(flags.ip6, 6, wrong) }),
      ...(flags["gw-priority"] === undefined ? {} : { gatewayPriority: flags["gw-priority"] }),
      ...(Object.keys(options).length > 0 ? { driverOptions: options } : {}),
    });
    return 0;
  },
});
