/** `sampan start`: containers that exist already; with `-a` or `-i` one of them, and the caller stays with it. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { exitCode } from "../ended.ts";
import { type Flags, UsageError } from "../flags.ts";
import { readDetachKeys } from "../keys.ts";
import { complain, print } from "../output.ts";
import { report } from "../report.ts";
import { not } from "../run/absent.ts";
import { checkTerminal, join, sizeFor } from "../session.ts";

const CHECKPOINTS = not("checkpoints are not available");

const FLAGS = {
  checkpoint: { type: "string", hidden: true, help: "", read: CHECKPOINTS },
  "checkpoint-dir": { type: "string", hidden: true, help: "", read: CHECKPOINTS },
  attach: { type: "bool", short: "a", help: "Attach STDOUT/STDERR and forward signals" },
  "detach-keys": {
    type: "string",
    read: readDetachKeys,
    help: "Override the key sequence for detaching a container",
  },
  interactive: { type: "bool", short: "i", help: "Attach container's STDIN" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ flags, args, where }) {
    const { containers } = Engine.open(where);
    if (flags.attach || flags.interactive) {
      if (args.length > 1)
        throw new UsageError("you cannot start and attach multiple containers at once", "plain");
      return attached(containers, args[0] ?? "", flags.interactive ?? false, flags["detach-keys"]);
    }
    const failed: string[] = [];
    for (const reference of args) {
      try {
        await containers.start(reference);
        print(reference);
      } catch (error) {
        report(error);
        failed.push(reference);
      }
    }
    if (failed.length === 0) return 0;
    complain(`sampan: failed to start containers: ${failed.join(", ")}`);
    return 1;
  },
});

async function attached(
  containers: Engine["containers"],
  reference: string,
  interactive: boolean,
  detachKeys: Uint8Array | undefined,
): Promise<number> {
  const { id, name, config } = containers.get(reference);
  const stdin = interactive && config.openStdin;
  checkTerminal(stdin, config.tty);
  const connection = await containers.start(reference, { attach: true, ...sizeFor(config.tty) });
  const session = join(connection, {
    stdin,
    stdout: true,
    stderr: true,
    tty: config.tty,
    detachKeys,
    sigProxy: !config.tty,
  });
  const exit = await Promise.race([containers.finish(id, connection), session.detached, session.restarting]);
  session.end();
  if (exit === "detached") return 0;
  return exit?.code === 0 ? 0 : exitCode(exit, name, config.timeout);
}
