/** Why a program could not be executed: each cause with its exact text. */
import { expect, test } from "bun:test";
import { type Attempt, diagnose, readElf, type Seen, type View } from "../../src/container/diagnose.ts";

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const file = (content: Uint8Array | string, mode = 0o755, uid = 0, gid = 0): Seen => ({
  kind: "file",
  mode,
  uid,
  gid,
  head: () => (typeof content === "string" ? text(content) : content),
});
const dir = (mode = 0o755): Seen => ({ kind: "dir", mode, uid: 0, gid: 0, head: () => new Uint8Array() });

/** A 64-bit ELF header with one program header that names the loader. */
function elf(machine: number, interpreter = ""): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, machine, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, interpreter ? 1 : 0, true);
  view.setUint32(64, 3, true);
  view.setBigUint64(64 + 8, 128n, true);
  view.setBigUint64(64 + 32, BigInt(interpreter.length + 1), true);
  bytes.set(text(interpreter), 128);
  return bytes;
}

const NATIVE = process.arch === "x64" ? 62 : 183;
const FOREIGN = process.arch === "x64" ? 183 : 62;
const [host, other] = process.arch === "x64" ? ["amd64", "arm64"] : ["arm64", "amd64"];

function explain(errno: string, files: Record<string, Seen>, part: Partial<Attempt> = {}, noexec?: string) {
  const view: View = { see: (path) => files[path], noexec: () => noexec };
  const attempt: Attempt = {
    program: "/app",
    candidates: ["/app"],
    errno,
    path: "/usr/bin:/bin",
    uid: 0,
    gids: [0],
    ...part,
  };
  const { message, code, hint } = diagnose(attempt, view);
  return { message, code, hint };
}

test("a program that is nowhere in PATH", () => {
  expect(explain("ENOENT", {}, { program: "app", candidates: ["/usr/bin/app", "/bin/app"] })).toEqual({
    message: 'exec: "app": executable file not found in $PATH',
    code: "command-not-found",
    hint: "$PATH in the container is /usr/bin:/bin. Is the program part of the image?",
  });
});

test("a path that is not there", () => {
  expect(explain("ENOENT", {}).message).toBe('exec: "/app": stat /app: no such file or directory');
  expect(explain("ENOENT", {}, { program: "/app --flag", candidates: ["/app --flag"] }).hint).toContain(
    "separate words",
  );
});

test("a script whose interpreter is missing", () => {
  expect(explain("ENOENT", { "/app": file("#!/bin/bash -e\necho\n") })).toMatchObject({
    message:
      "exec /app: no such file or directory: it is a script for /bin/bash, which the image does not have",
    code: "command-not-found",
  });
});

test("a script with line ends of Windows", () => {
  expect(
    explain("ENOENT", { "/app": file("#!/bin/sh\r\necho\r\n"), "/bin/sh": file(elf(NATIVE)) }).message,
  ).toBe(
    'exec /app: no such file or directory: its first line ends in CR LF, so the interpreter\'s name is "/bin/sh\\r"',
  );
});

test("a program whose dynamic loader is missing", () => {
  expect(explain("ENOENT", { "/app": file(elf(NATIVE, "/lib/ld-musl-x86_64.so.1")) })).toMatchObject({
    message:
      "exec /app: no such file or directory: it is linked for the dynamic loader /lib/ld-musl-x86_64.so.1, which the image does not have",
    hint: "It was built for musl (Alpine): link it statically, or use an image with /lib/ld-musl-x86_64.so.1.",
  });
});

test("a program of another architecture", () => {
  expect(explain("ENOEXEC", { "/app": file(elf(FOREIGN)) })).toMatchObject({
    message: `exec /app: exec format error: it is a program for ${other}, and this machine is ${host}`,
    code: "not-executable",
  });
});

test("a text without #!, an empty file, and rubbish", () => {
  expect(explain("ENOEXEC", { "/app": file("echo hi\n") }).message).toBe(
    "exec /app: exec format error: it is a text without a first line #!",
  );
  expect(explain("ENOEXEC", { "/app": file("") }).message).toBe(
    "exec /app: exec format error: the file is empty",
  );
  expect(explain("ENOEXEC", { "/app": file("\0\0\0\0") }).message).toBe(
    "exec /app: exec format error: it is not a program that this kernel knows",
  );
});

test("a missing x bit", () => {
  expect(explain("EACCES", { "/app": file("x", 0o644) })).toMatchObject({
    message: 'exec: "/app": permission denied: /app has mode 0644, without an x bit',
    code: "not-executable",
  });
});

test("a mode that leaves this user out, of the file or of a folder on the way", () => {
  const user = { uid: 1000, gids: [1000] };
  expect(explain("EACCES", { "/app": file("x", 0o700) }, user).message).toBe(
    'exec: "/app": permission denied: mode 0700 of /app, owned by 0:0, does not let user 1000 execute it',
  );
  const deep = { program: "/root/app", candidates: ["/root/app"], ...user };
  expect(explain("EACCES", { "/root": dir(0o700), "/root/app": file("x") }, deep).message).toBe(
    'exec: "/root/app": permission denied: mode 0700 of /root does not let user 1000 reach /root/app',
  );
});

test("a noexec mount", () => {
  expect(explain("EACCES", { "/app": file("x") }, {}, "/data").message).toBe(
    'exec: "/app": permission denied: /app lies on the mount at /data, which is noexec',
  );
});

test("a folder", () => {
  expect(explain("EACCES", { "/app": dir() }).message).toBe(
    'exec: "/app": is a directory: permission denied',
  );
});

test("an argument list that is too long", () => {
  expect(explain("E2BIG", { "/app": file("x") }).message).toBe("exec /app: argument list too long");
});

test("an ELF header that lies about its lengths is no trouble", () => {
  const bytes = elf(NATIVE, "/lib/ld.so");
  new DataView(bytes.buffer).setBigUint64(64 + 32, 1n << 40n, true);
  expect(readElf(bytes)).toEqual({ machine: NATIVE, interpreter: "" });
  for (let length = 0; length < 256; length++) readElf(bytes.subarray(0, length));
  expect(readElf(text("#!/bin/sh"))).toBeUndefined();
});
