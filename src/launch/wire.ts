/**
 * A plan as the bytes that the launcher reads: flat, length-prefixed, least byte first. The operands of every call and
 * their order are those of launcher/ops.h; the decoder there checks each one. Texts carry a NUL so that the launcher
 * need not copy them.
 */
import type { HealthPlan, KeeperPlan, Plan } from "./plan.ts";
import type { CallName, Create, Step } from "./step.ts";

const MAGIC = 0x4e504d53; // "SMPN"
const VERSION = 1;
/** An id that chown leaves as it is. */
const LEAVE = 0xffff_ffff;

/** In the order of launcher/ops.h: the position is the number on the wire. */
const OPS: readonly CallName[] = [
  "clone",
  "join",
  "setns",
  "unshare",
  "barrier",
  "spawn",
  "write",
  "mkdir",
  "propagation",
  "overlay",
  "root",
  "mount",
  "bind",
  "attributes",
  "mask",
  "readonly",
  "mknod",
  "symlink",
  "console",
  "pivot",
  "chroot",
  "setsid",
  "stdio",
  "hostname",
  "domainname",
  "proc",
  "rlimit",
  "keyring",
  "bounding",
  "user",
  "capabilities",
  "no_new_privs",
  "pdeathsig",
  "umask",
  "chdir",
  "seccomp",
  "init",
  "execve",
  "netlink",
  "bpf_device",
  "kill",
  "read",
  "rmdir",
];
const NUMBER = Object.fromEntries(OPS.map((name, index) => [name, index])) as Record<CallName, number>;
const COLUMN = { outside: 0, inside: 1, after: 2 } as const;
const CREATE: Record<Create, number> = { none: 0, dir: 1, file: 2 };
const DRIVER = { none: 0, "json-file": 1, local: 2 } as const;
const POLICY = { no: 0, always: 1, "unless-stopped": 2, "on-failure": 3 } as const;

/** A buffer that grows; every method appends one operand. */
class Writer {
  #bytes = Buffer.allocUnsafe(32 * 1024);
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  #at = 0;

  #room(size: number): void {
    if (this.#at + size <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + size));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer, larger.byteOffset);
  }

  u(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#at, value >>> 0, true);
    this.#at += 4;
  }

  U(value: number | bigint): void {
    this.#room(8);
    this.#view.setBigUint64(this.#at, BigInt.asUintN(64, BigInt(value)), true);
    this.#at += 8;
  }

  yes(value: boolean | undefined): void {
    this.u(value ? 1 : 0);
  }

  s(value: string | undefined): void {
    const text = value ?? "";
    this.#room(text.length * 3 + 5);
    const written = this.#bytes.write(text, this.#at + 4);
    this.#view.setUint32(this.#at, written, true);
    this.#at += 4 + written;
    this.#bytes[this.#at++] = 0;
  }

  b(value: string | Uint8Array): void {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    this.u(bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  l(values: readonly string[]): void {
    this.u(values.length);
    for (const value of values) this.s(value);
  }

  n(values: readonly number[]): void {
    this.u(values.length);
    for (const value of values) this.u(value);
  }

  header(op: number, column: number, optional: boolean): void {
    this.#room(4);
    this.#bytes[this.#at] = op;
    this.#bytes[this.#at + 1] = column;
    this.#bytes[this.#at + 2] = optional ? 1 : 0;
    this.#bytes[this.#at + 3] = 0;
    this.#at += 4;
  }

  done(): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#at);
  }
}

function step(w: Writer, s: Step): void {
  w.header(NUMBER[s.call], COLUMN[s.column], s.optional === true);
  switch (s.call) {
    case "clone":
      w.u(s.flags);
      w.s(s.cgroup);
      break;
    case "join":
      w.u(s.pid);
      w.U(s.start);
      w.u(s.flags);
      break;
    case "setns":
      w.s(s.path);
      w.u(s.flags);
      break;
    case "unshare":
      w.u(s.flags);
      break;
    case "barrier":
      w.yes(s.waits === "outside");
      break;
    case "spawn":
      w.l(s.argv);
      break;
    case "write":
      w.s(s.path);
      w.b(s.data);
      w.yes(s.pid);
      w.yes(s.create);
      break;
    case "mkdir":
      w.yes(s.at === "root");
      w.s(s.path);
      w.u(s.mode);
      w.u(s.uid ?? LEAVE);
      w.u(s.gid ?? LEAVE);
      break;
    case "propagation":
      w.u(s.flags);
      w.s(s.path ?? "/");
      break;
    case "overlay":
      w.s(s.target);
      w.l(s.lower);
      w.s(s.upper);
      w.s(s.work);
      w.l(s.options);
      break;
    case "mount":
      w.s(s.fstype);
      w.s(s.source);
      w.s(s.target);
      w.u(s.flags);
      w.s(s.data);
      w.u(CREATE[s.create]);
      w.yes(s.copyUp);
      w.yes(s.fallback !== undefined);
      w.s(s.fallback);
      break;
    case "bind":
      w.yes(s.at === "root");
      w.yes(s.from === "root");
      w.s(s.source);
      w.s(s.target);
      w.yes(s.recursive);
      w.u(s.set);
      w.u(s.clear);
      w.yes(s.recursiveAttributes);
      w.u(CREATE[s.create]);
      w.u(s.propagation);
      w.s(s.idmap?.uid);
      w.s(s.idmap?.gid);
      break;
    case "attributes":
      w.s(s.target);
      w.u(s.set);
      w.u(s.clear);
      w.yes(s.recursive);
      w.u(s.propagation);
      break;
    case "root":
    case "chdir":
    case "kill":
    case "rmdir":
      w.s(s.path);
      break;
    case "mask":
    case "readonly":
      w.s(s.target);
      break;
    case "mknod":
      w.s(s.target);
      w.u(s.mode);
      w.u(s.major);
      w.u(s.minor);
      w.u(s.uid);
      w.u(s.gid);
      break;
    case "symlink":
      w.s(s.target);
      w.s(s.to);
      break;
    case "console":
      w.u(s.rows);
      w.u(s.columns);
      break;
    case "hostname":
    case "domainname":
    case "keyring":
      w.s(s.name);
      break;
    case "proc":
      w.s(s.path);
      w.s(s.data);
      break;
    case "rlimit":
      w.u(s.resource);
      w.U(s.soft);
      w.U(s.hard);
      w.yes(s.nearest);
      break;
    case "bounding":
      w.U(s.mask);
      break;
    case "user":
      w.u(s.uid);
      w.u(s.gid);
      w.n(s.groups);
      break;
    case "capabilities":
      w.U(s.effective);
      w.U(s.permitted);
      w.U(s.inheritable);
      w.U(s.ambient);
      break;
    case "pdeathsig":
      w.u(s.signal);
      break;
    case "umask":
      w.u(s.mask);
      break;
    case "seccomp":
      w.b(s.program);
      w.u(s.flags);
      break;
    case "execve":
      w.l(s.candidates);
      w.l(s.argv);
      w.l(s.env);
      break;
    case "netlink":
      netlink(w, s);
      break;
    case "bpf_device":
      w.s(s.cgroup);
      w.b(s.program);
      break;
    case "read":
      w.s(s.path);
      w.s(s.key);
      break;
    case "pivot":
    case "chroot":
    case "setsid":
    case "stdio":
    case "no_new_privs":
    case "init":
      break;
  }
}

const NOTHING: readonly never[] = [];

function netlink(w: Writer, s: Step & { readonly call: "netlink" }): void {
  w.u(s.protocol);
  w.b(s.messages);
  w.n(s.fill?.pid ?? NOTHING);
  w.n(s.fill?.digits ?? NOTHING);
  const places: number[] = [];
  const names: string[] = [];
  for (const { at, name } of s.fill?.links ?? NOTHING) {
    places.push(at);
    names.push(name);
  }
  w.n(places);
  w.l(names);
  w.l(s.repair ?? NOTHING);
}

function program(w: Writer, steps: readonly Step[]): void {
  w.u(steps.length);
  for (const s of steps) step(w, s);
}

function health(w: Writer, plan: HealthPlan | undefined): void {
  w.yes(plan !== undefined);
  if (!plan) return;
  w.U(plan.interval);
  w.U(plan.timeout);
  w.U(plan.startPeriod);
  w.U(plan.startInterval);
  w.u(plan.retries);
  w.s(plan.path);
  program(w, plan.steps);
}

function keeper(w: Writer, plan: KeeperPlan): void {
  w.s(plan.lock);
  w.s(plan.pidFile);
  w.s(plan.socket);
  w.s(plan.exitFile);
  w.u(DRIVER[plan.log.driver]);
  w.s(plan.log.path);
  w.U(plan.log.maxSize);
  w.u(plan.log.maxFiles);
  w.yes(plan.tty);
  w.yes(plan.openStdin);
  w.yes(plan.stdinOnce);
  w.yes(plan.foreground);
  w.u(POLICY[plan.restart.policy]);
  w.u(plan.restart.maximum);
  w.U(plan.timeout);
  w.l(plan.cgroups);
  w.l(plan.reap);
  w.l(plan.remove);
  w.s(plan.events);
  w.s(plan.eventMembers);
  w.u(plan.stopAfter ?? 0);
  health(w, plan.health);
}

/** The plan's bytes, valid until the next call grows or reuses nothing: each call has a buffer of its own. */
export function encode(plan: Plan): Uint8Array {
  const w = new Writer();
  w.u(MAGIC);
  w.u(VERSION);
  keeper(w, plan.keeper);
  program(w, plan.steps);
  return w.done();
}
