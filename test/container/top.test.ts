/** ps options → columns, beside what procps' ps prints as its header for the same ones. */
import { describe, expect, test } from "bun:test";
import { parsePsOptions } from "../../src/container/top.ts";

const titles = (options: string): string =>
  parsePsOptions(options === "" ? [] : options.split(" "))
    .chosen.map(({ title }) => title)
    .join(" ");

describe("ps options", () => {
  test.each([
    ["", "UID PID PPID C STIME TTY TIME CMD"],
    ["-ef", "UID PID PPID C STIME TTY TIME CMD"],
    ["-e", "PID TTY TIME CMD"],
    ["-F", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"],
    ["-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"],
    ["-lf", "F S UID PID PPID C PRI NI ADDR SZ WCHAN STIME TTY TIME CMD"],
    ["-j", "PID PGID SID TTY TIME CMD"],
    ["-L", "PID LWP TTY TIME CMD"],
    ["-eLf", "UID PID PPID LWP C NLWP STIME TTY TIME CMD"],
    ["ax", "PID TTY STAT TIME COMMAND"],
    ["aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"],
    ["axj", "PPID PID PGID SID TTY TPGID STAT UID TIME COMMAND"],
    ["l", "F UID PID PPID PRI NI VSZ RSS WCHAN STAT TTY TIME COMMAND"],
    ["-o pid,comm", "PID COMMAND"],
    ["-opid,comm", "PID COMMAND"],
    ["-eo pid,user=WHO", "PID WHO"],
    ["axo pid,args", "PID COMMAND"],
    ["-o user:20,pid", "USER PID"],
    ["-o pid -o group,psr,cls,rtprio", "PID GROUP PSR CLS RTPRIO"],
    ["--format=pid,tid --sort=-pid", "PID TID"],
  ])("%j", (options, wanted) => expect(titles(options)).toBe(wanted));

  test.each([
    ["-Z", 'unsupported ps option "-Z"'],
    ["--forest", 'unsupported ps option "--forest"'],
    ["-o", 'unsupported ps option "-o"'],
    ["-o pid,nope", 'unknown ps column "nope"'],
    ["--sort nope", 'unknown ps column "nope"'],
  ])("%j is refused", (options, message) => expect(() => titles(options)).toThrow(message));
});
