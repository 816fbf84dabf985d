/** `sampan exec`: one more process in a running container. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { exitCode } from "../ended.ts";
import type { Flags } from "../flags.ts";
import { readDetachKeys } from "../keys.ts";
import { report } from "../report.ts";
import { fromFiles, readEnv } from "../run/labels.ts";
import { checkTerminal, escaped, join, sizeFor } from "../session.ts";

const FLAGS = {
  detach: { type: "bool", short: "d", help: "Detached mode: run command in the background" },
  "detach-keys": {
    type: "string",
    read: readDetachKeys,
    help: "Override the key sequence for detaching a container",
  },
  env: { type: "list", short: "e", read: readEnv, help: "Set environment variables" },
  "env-file": { type: "list", help: "Read in a file of environment variables" },
  interactive: { type: "bool", short: "i", help: "Keep STDIN open even if not attached" },
  privileged: { type: "bool", help: "Give extended privileges to the command" },
  tty: { type: "bool", short: "t", help: "Allocate a pseudo-TTY" },
  user: { type: "string", short: "u", help: 'Username or UID (format: "<name|uid>[:<group|gid>]")' },
  workdir: { type: "string", short: "w", help: "Working directory inside the container" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  flags: FLAGS,
  least: 2,
  most: Number.POSITIVE_INFINITY,
  interspersed: false,
  failure: 1,
  async run({ flags, args, where }) {
    const [reference = "", ...words] = args;
    const tty = flags.tty ?? false;
    const detach = flags.detach ?? false;
    const stdin = (flags.interactive ?? false) && !detach;
    checkTerminal(stdin, tty);
    const engine = Engine.open(where);
    const config = {
      command: words,
      env: fromFiles(flags["env-file"], "env", flags.env),
      ...(flags.user ? { user: flags.user } : {}),
      ...(flags.workdir ? { workdir: flags.workdir } : {}),
      tty,
      openStdin: stdin,
      privileged: flags.privileged ?? false,
      ...sizeFor(tty && !detach),
    };
    if (detach) {
      // With nobody to see how the program ends there is no exit code of it either: Docker has 1 for all that keeps it from starting.
      try {
        await engine.containers.execDetached(reference, config);
        return 0;
      } catch (error) {
        report(error);
        return 1;
      }
    }
    const connection = await engine.containers.exec(reference, config);
    const session = join(connection, {
      stdin,
      stdout: true,
      stderr: true,
      tty,
      detachKeys: flags["detach-keys"],
      sigProxy: false,
    });
    const exit = await Promise.race([connection.exit, session.detached]);
    session.end();
    if (exit === "detached") return escaped();
    return exit?.code === 0 ? 0 : exitCode(exit, `the command in ${reference}`);
  },
});
