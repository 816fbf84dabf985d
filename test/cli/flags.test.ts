import { describe, expect, test } from "bun:test";
import { type Flags, parseFlags, UsageError } from "../../src/cli/flags.ts";

const TABLE = {
  all: { type: "bool", short: "a", help: "" },
  interactive: { type: "bool", short: "i", help: "" },
  tty: { type: "bool", short: "t", help: "" },
  detach: { type: "bool", short: "d", help: "" },
  env: { type: "list", short: "e", help: "" },
  publish: { type: "list", short: "p", help: "" },
  last: { type: "int", short: "n", help: "" },
  name: { type: "string", help: "" },
  memory: { type: "bytes", short: "m", help: "" },
  cpus: { type: "decimal", help: "" },
  weight: { type: "uint16", help: "" },
  interval: { type: "duration", help: "" },
} as const satisfies Flags;

const read = (line: string, interspersed = true) => parseFlags(TABLE, line.split(" "), interspersed);

describe("flags are read as pflag reads them", () => {
  test("short ones together, the last may take a value", () => {
    const { flags, args } = read("-itd -p80:80 -p 81:81 -p=82:82 -itm 1k x");
    expect(flags).toMatchObject({
      interactive: true,
      tty: true,
      detach: true,
      publish: ["80:80", "81:81", "82:82"],
    });
    expect(flags.memory).toBe(1024);
    expect(args).toEqual(["x"]);
  });

  test("long ones with = or a blank; a switch with a value", () => {
    const { flags } = read("--name=x --env A=b --all=false --tty=1 --last 0x10");
    expect(flags).toMatchObject({ name: "x", env: ["A=b"], all: false, tty: true, last: 16 });
  });

  test("a flag that was not given is undefined, a list is empty", () => {
    const { flags } = read("x");
    expect(flags.name).toBeUndefined();
    expect(flags.all).toBeUndefined();
    expect(flags.env).toEqual([]);
  });

  test("words and flags may mix, unless the first word ends the flags", () => {
    expect(read("x -a y").args).toEqual(["x", "y"]);
    const { flags, args } = read("-i x -a y", false);
    expect(args).toEqual(["x", "-a", "y"]);
    expect(flags.all).toBeUndefined();
  });

  test("-- ends the flags, - is a word", () => expect(read("- -a -- -t").args).toEqual(["-", "-t"]));

  test("--help, and -h where nothing else is called so", () => {
    expect(read("--help x").help).toBe(true);
    expect(read("-h").help).toBe(true);
    expect(read("--help=false").help).toBe(false);
  });

  test("processors as a decimal or a fraction, in billionths", () => {
    expect(read("--cpus 1.5").flags.cpus).toBe(1_500_000_000);
    expect(read("--cpus 1/2").flags.cpus).toBe(500_000_000);
  });

  test.each([
    ["--foo", "unknown flag: --foo"],
    ["--foo=1", "unknown flag: --foo"],
    ["-z", "unknown shorthand flag: 'z' in -z"],
    ["-itz", "unknown shorthand flag: 'z' in -z"],
    ["-e", "flag needs an argument: 'e' in -e"],
    ["-ite", "flag needs an argument: 'e' in -e"],
    ["--memory", "flag needs an argument: --memory"],
    ["-m x", `invalid argument "x" for "-m, --memory" flag: invalid size: 'x'`],
    ["--last=x", 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [
      "--all=maybe",
      'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      "--weight 70000",
      'invalid argument "70000" for "--weight" flag: strconv.ParseUint: parsing "70000": value out of range',
    ],
    ["--cpus x", 'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number'],
    ["--cpus 0.0000000001", 'invalid argument "0.0000000001" for "--cpus" flag: value is too precise'],
    ["--interval 5", 'invalid argument "5" for "--interval" flag: time: missing unit in duration "5"'],
  ])("%s is refused: %s", (line, message) => {
    expect(() => read(line)).toThrow(new UsageError(message));
  });
});
