/** A container as a program of this library: the members of its configuration that are not at their defaults. */
import { type ContainerConfig, DEFAULTS } from "../container/index.ts";

/** An object's member as TypeScript has it. */
const member = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

function literal(value: unknown, indent: number): string {
  const pad = "  ".repeat(indent + 1);
  const short = JSON.stringify(value);
  if (typeof value !== "object" || value === null) return short;
  const parts = Array.isArray(value)
    ? value.map((each) => literal(each, indent + 1))
    : Object.entries(value)
        .filter(([, each]) => each !== undefined)
        .map(([name, each]) => `${member(name)}: ${literal(each, indent + 1)}`);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{ ", " }"];
  if (parts.length === 0) return `${open}${close}`.replaceAll(" ", "");
  const line = `${open}${parts.join(", ")}${close}`;
  if (line.length <= 80 && !line.includes("\n")) return line;
  return `${open.trim()}\n${parts.map((part) => `${pad}${part},\n`).join("")}${"  ".repeat(indent)}${close.trim()}`;
}

export function asTs(config: ContainerConfig, name: string): string {
  const given = Object.entries(config).filter(
    ([key, value]) =>
      value !== undefined && JSON.stringify(value) !== JSON.stringify(DEFAULTS[key as keyof ContainerConfig]),
  );
  const members = given.map(([key, value]) => `  ${member(key)}: ${literal(value, 1)},\n`).join("");
  const options = `{ name: ${JSON.stringify(name)}, attach: true }`;
  if (config.attach.length === 0)
    return `import { type ContainerConfig, DEFAULTS, Engine } from "sampan";

const config: ContainerConfig = {
  ...DEFAULTS,
${members}};
const engine = Engine.open();
const { container } = await engine.containers.run(config, { name: ${JSON.stringify(name)} });
console.log(container.id);
`;
  return `import { ATTACH, type ContainerConfig, DEFAULTS, Engine } from "sampan";

const config: ContainerConfig = {
  ...DEFAULTS,
${members}};
const engine = Engine.open();
const { container, connection } = await engine.containers.run(config, ${options});
connection.onOutput = (stream, bytes) => {
  (stream === 2 ? process.stderr : process.stdout).write(bytes);
};
connection.attach(ATTACH.stdout | ATTACH.stderr);
const exit = await engine.containers.finish(container.id, connection);
process.exitCode = exit?.code ?? 137;
`;
}
