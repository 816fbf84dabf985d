/** `sampan port`: the ports of the host that lead to a container. */
import { SampanError } from "../../common/error.ts";
import { hostPort } from "../../docker/ports.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";

export default command({
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  flags: {},
  least: 1,
  most: 2,
  async run({ args: [reference = "", wanted], where }) {
    const engine = Engine.open(where);
    const { id } = engine.containers.get(reference);
    const ports = await engine.networks.ports(id);
    if (wanted === undefined) {
      for (const port of ports) print(`${port.target}/${port.protocol} -> ${hostPort(port)}`);
      return 0;
    }
    const full = wanted.includes("/") ? wanted : `${wanted}/tcp`;
    if (!/^\d+\/(tcp|udp|sctp)$/.test(full)) throw new SampanError("invalid", `invalid port: ${wanted}`);
    const found = ports.filter(({ target, protocol }) => `${target}/${protocol}` === full);
    if (found.length === 0)
      throw new SampanError("not-found", `no public port '${full}' published for ${reference}`);
    for (const port of found) print(hostPort(port));
    return 0;
  },
});
