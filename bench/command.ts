/** Commands as lists of words: run to their end, with what they said in the error if they fail. */

export type Command = readonly string[];

/** A command line as one writes it, split at white space; what is put in stays whole. */
export function words(text: TemplateStringsArray, ...values: readonly string[]): string[] {
  const words: string[] = [];
  let open = false;
  for (const [index, part] of text.entries()) {
    for (const piece of part.split(/(\s+)/)) {
      if (/^\s+$/.test(piece)) open = false;
      else if (piece !== "") open = add(piece);
    }
    const value = values[index];
    if (value !== undefined) open = add(value);
  }
  return words;

  function add(piece: string): true {
    if (open) words.push((words.pop() ?? "") + piece);
    else words.push(piece);
    return true;
  }
}

/** The same, and it may fail, silently. */
export const forgiving = (command: Command): string[] => [
  "sh",
  "-c",
  '"$@" 2>/dev/null || true',
  "sh",
  ...command,
];

/** Runs a command; returns its output without the last newline. */
export function sh(...command: Command): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { stdin: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw failure(command, exitCode, stderr.toString());
  return stdout.toString().replace(/\n$/, "");
}

/** Runs a command whose output nobody wants, as those that are measured. Nothing is read, so nothing waits for a reader. */
export function silently(command: Command): void {
  const { exitCode } = Bun.spawnSync([...command], { stdio: ["ignore", "ignore", "inherit"] });
  if (exitCode !== 0) throw failure(command, exitCode, "");
}

/** As `silently`, for many at once. */
export async function concurrently(commands: readonly Command[]): Promise<void> {
  const children = commands.map((command) =>
    Bun.spawn([...command], { stdio: ["ignore", "ignore", "inherit"] }),
  );
  const codes = await Promise.all(children.map((child) => child.exited));
  for (const [index, code] of codes.entries()) if (code !== 0) throw failure(commands[index] ?? [], code, "");
}

function failure(command: Command, code: number, said: string): Error {
  return new Error(`${command.join(" ")}: exit ${code}${said && `\n${said.trimEnd()}`}`);
}
