/** `sampan update`: other limits, another restart policy, while it runs. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import { type Flags, UsageError } from "../flags.ts";
import { complain } from "../output.ts";
import { resources } from "../run/config.ts";
import { CONTAINER_FLAGS as RUN } from "../run/flags.ts";
import { readPublish, readUnpublish } from "../run/ports.ts";
import { readRestart } from "../run/process.ts";

const FLAGS = {
  "kernel-memory": RUN["kernel-memory"],
  "cpu-rt-period": RUN["cpu-rt-period"],
  "cpu-rt-runtime": RUN["cpu-rt-runtime"],
  "blkio-weight": RUN["blkio-weight"],
  "cpu-period": RUN["cpu-period"],
  "cpu-quota": RUN["cpu-quota"],
  "cpu-shares": RUN["cpu-shares"],
  cpus: RUN.cpus,
  "cpuset-cpus": RUN["cpuset-cpus"],
  "cpuset-mems": RUN["cpuset-mems"],
  memory: RUN.memory,
  "memory-reservation": RUN["memory-reservation"],
  "memory-swap": {
    ...RUN["memory-swap"],
    help: "Swap limit equal to memory plus swap: -1 to enable unlimited swap",
  },
  "pids-limit": RUN["pids-limit"],
  "publish-add": {
    type: "list",
    takes: "list",
    help: "Publish one more port to the host, as run's --publish writes it",
  },
  "publish-rm": {
    type: "list",
    takes: "list",
    help: "Publish a port no longer: [HOST:]CONTAINER[/PROTOCOL]",
  },
  restart: { type: "string", help: "Restart policy to apply when a container exits" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args, where }) {
    const limits = resources(flags);
    const publish = flags["publish-add"].flatMap(readPublish);
    const unpublish = flags["publish-rm"].flatMap(readUnpublish);
    if (Object.keys(limits).length + publish.length + unpublish.length === 0 && !flags.restart)
      throw new UsageError("you must provide one or more flags when using this command", "plain");
    const changes = {
      ...limits,
      ...(flags.restart ? { restart: readRestart(flags.restart) } : {}),
      ...(publish.length > 0 ? { publish } : {}),
      ...(unpublish.length > 0 ? { unpublish } : {}),
    };
    const { containers } = Engine.open(where);
    return each(args, async (reference) => {
      for (const warning of await containers.update(reference, changes)) complain(`WARNING: ${warning}`);
    });
  },
});
