/** `sampan login`: tries a name and a password at a registry and keeps them where docker keeps its own. */
import { Engine } from "../../engine.ts";
import { registryLogin } from "../../image/index.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { complain, print, write } from "../output.ts";
import { hideTyping, isTerminal } from "../terminal.ts";

const FLAGS = {
  password: { type: "string", short: "p", help: "Password" },
  "password-stdin": { type: "bool", help: "Take the password from stdin" },
  username: { type: "string", short: "u", help: "Username" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] [SERVER]",
  flags: FLAGS,
  least: 0,
  most: 1,
  async run({ flags, args, where }) {
    const { checkCredentials, knownCredentials, login, registryHost } = await registryLogin();
    const host = registryHost(args[0]);
    const { root } = Engine.open(where).paths;
    let { username, password } = flags;
    if (username === "") throw new UsageError("username is empty", "plain");
    if (password === "") throw new UsageError("password is empty", "plain");
    if (password !== undefined) {
      if (flags["password-stdin"])
        throw new UsageError(
          "conflicting options: cannot specify both --password and --password-stdin",
          "plain",
        );
      complain("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if (flags["password-stdin"]) {
      if (!username)
        throw new UsageError("the --password-stdin option requires --username to be set", "plain");
      password = (await Bun.stdin.text()).replace(/\n$/, "").replace(/\r$/, "");
    }
    if (username === undefined && password === undefined) {
      const known = await knownCredentials(host);
      if (known) {
        print("Authenticating with existing credentials...");
        try {
          await checkCredentials(root, host, known);
          print("Login Succeeded");
          return 0;
        } catch (error) {
          if (!isTerminal(0)) throw error;
          complain(`Login did not succeed, error: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    }
    if (!username || !password) {
      if (!isTerminal(0))
        throw new UsageError("Error: Cannot perform an interactive login from a non TTY device", "plain");
      username ||= await ask("Username: ");
      if (!username) throw new UsageError("Error: Non-null Username Required", "plain");
      password ||= await askHidden("Password: ");
      if (!password) throw new UsageError("Error: Password Required", "plain");
    }
    const { kept, file } = await login(root, host, { kind: "password", username, password });
    if (kept === "file")
      complain(
        `WARNING! Your credentials are stored unencrypted in '${file}'.\n` +
          "Configure a credential helper to remove this warning.",
      );
    print("Login Succeeded");
    return 0;
  },
});

async function ask(prompt: string): Promise<string> {
  write(1, prompt);
  let line = "";
  const decoder = new TextDecoder();
  const reader = Bun.stdin.stream().getReader();
  try {
    while (!line.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) break;
      line += decoder.decode(value, { stream: true });
    }
  } finally {
    reader.releaseLock();
  }
  return line.replace(/\r?\n.*$/s, "").trim();
}

async function askHidden(prompt: string): Promise<string> {
  const show = hideTyping(0);
  const interrupted = (): void => {
    show();
    process.exit(130);
  };
  process.once("SIGINT", interrupted);
  try {
    return await ask(prompt);
  } finally {
    process.off("SIGINT", interrupted);
    show();
    write(1, "\n");
  }
}
