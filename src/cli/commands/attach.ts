/** `sampan attach`: to the streams of a container that runs. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { exitCode } from "../ended.ts";
import type { Flags } from "../flags.ts";
import { readDetachKeys } from "../keys.ts";
import { checkTerminal, escaped, join } from "../session.ts";
import { windowSize } from "../terminal.ts";

const FLAGS = {
  "detach-keys": {
    type: "string",
    read: readDetachKeys,
    help: "Override the key sequence for detaching a container",
  },
  "no-stdin": { type: "bool", help: "Do not attach STDIN" },
  "sig-proxy": { type: "bool", help: "Proxy all received signals to the process (default true)" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const [reference = ""] = args;
    const { containers } = Engine.open(where);
    const { config, name } = containers.get(reference);
    const stdin = config.openStdin && !flags["no-stdin"];
    checkTerminal(stdin, config.tty);
    const connection = await containers.attach(reference);
    const session = join(connection, {
      stdin,
      stdout: true,
      stderr: true,
      tty: config.tty,
      detachKeys: flags["detach-keys"],
      sigProxy: (flags["sig-proxy"] ?? true) && !config.tty,
    });
    const size = config.tty ? windowSize(1) : undefined;
    if (size && size.rows > 0) {
      // A program that draws only when the size changes draws now.
      connection.resize(size.rows + 1, size.columns);
      connection.resize(size.rows, size.columns);
    }
    const exit = await Promise.race([connection.exit, session.detached, session.restarting]);
    session.end();
    if (exit === "detached") return escaped();
    return exit?.code === 0 ? 0 : exitCode(exit, name, config.timeout);
  },
});
