/** `sampan run`: makes a container, starts it, and stays with it unless `-d`. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { exitCode } from "../ended.ts";
import { type Flags, UsageError } from "../flags.ts";
import { readDetachKeys } from "../keys.ts";
import { complain, print } from "../output.ts";
import { configure } from "../run/config.ts";
import { CONTAINER_FLAGS } from "../run/flags.ts";
import { withImage } from "../run/image.ts";
import { checkTerminal, join, sizeFor } from "../session.ts";

const FLAGS = {
  ...CONTAINER_FLAGS,
  detach: { type: "bool", short: "d", help: "Run container in background and print container ID" },
  "detach-keys": {
    type: "string",
    read: readDetachKeys,
    help: "Override the key sequence for detaching a container",
  },
  "sig-proxy": { type: "bool", help: "Proxy received signals to the process (default true)" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: FLAGS,
  least: 0,
  most: Number.POSITIVE_INFINITY,
  interspersed: false,
  failure: 125,
  async run({ flags, args, name, where }) {
    if (args.length === 0 && !flags.rootfs)
      throw new UsageError(`'${name}' requires at least 1 argument`, "arguments");
    const detach = flags.detach ?? false;
    if (detach && flags.attach.length > 0)
      throw new UsageError("conflicting options: cannot specify both --attach and --detach", "plain");
    const config = configure(flags, args, detach);
    const has = (stream: "stdin" | "stdout" | "stderr"): boolean => config.attach.includes(stream);
    checkTerminal(has("stdin"), config.tty);

    const engine = Engine.open(where);
    const start = () =>
      withImage(engine, config, flags, () =>
        engine.containers.run(config, {
          ...(flags.name ? { name: flags.name } : {}),
          attach: !detach,
          warn: (text) => complain(`WARNING: ${text}`),
          ...sizeFor(config.tty),
        }),
      );
    const { cidfile } = flags;
    const { container, connection } = cidfile
      ? await (await import("../run/cidfile.ts")).withIdFile(cidfile, start, (made) => made.container.id)
      : await start();
    if (detach) {
      print(container.id);
      return 0;
    }
    const session = join(connection, {
      stdin: config.openStdin && has("stdin"),
      stdout: has("stdout"),
      stderr: has("stderr"),
      tty: config.tty,
      detachKeys: flags["detach-keys"],
      sigProxy: flags["sig-proxy"] ?? true,
    });
    const exit = await Promise.race([
      engine.containers.finish(container.id, connection),
      session.detached,
      session.restarting,
    ]);
    session.end();
    if (exit === "detached") return 0;
    return exit?.code === 0 ? 0 : exitCode(exit, container.name, config.timeout);
  },
});
