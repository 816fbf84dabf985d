/**
 * A plan as the bytes that the launcher reads: numbers, then texts, then bytes (launcher/wire.c has the format). The
 * operands of every call and their order are those of launcher/ops.h; the decoder there checks each one. Texts carry a
 * NUL so that the launcher need not copy them.
 */
import type { HealthPlan, KeeperPlan, Plan } from "./plan.ts";
import type { CallName, Create, Step } from "./step.ts";

const MAGIC = 0x4e504d53; // "SMPN"
const VERSION = 4;
/** Numbers of the head: those two, how many numbers there are, how many bytes of texts. */
const HEAD = 4;
/** An id that chown leaves as it is. */
const LEAVE = 0xffff_ffff;

/** As launcher/ops.h counts them. */
const NUMBER: Readonly<Record<CallName, number>> = {
  clone: 0,
  join: 1,
  setns: 2,
  unshare: 3,
  barrier: 4,
  spawn: 5,
  write: 6,
  mkdir: 7,
  propagation: 8,
  overlay: 9,
  root: 10,
  mount: 11,
  bind: 12,
  attributes: 13,
  mask: 14,
  readonly: 15,
  mknod: 16,
  symlink: 17,
  console: 18,
  pivot: 19,
  chroot: 20,
  setsid: 21,
  stdio: 22,
  hostname: 23,
  domainname: 24,
  proc: 25,
  rlimit: 26,
  keyring: 27,
  bounding: 28,
  user: 29,
  capabilities: 30,
  no_new_privs: 31,
  pdeathsig: 32,
  umask: 33,
  chdir: 34,
  seccomp: 35,
  init: 36,
  execve: 37,
  netlink: 38,
  bpf_device: 39,
  kill: 40,
  read: 41,
  rmdir: 42,
  copy: 43,
  companion: 44,
  ask: 45,
  hold: 46,
  apply: 47,
};
const COLUMN = { outside: 0, inside: 1, after: 2 } as const;
const CREATE: Record<Create, number> = { none: 0, dir: 1, file: 2 };
const DRIVER = { none: 0, "json-file": 1, local: 2 } as const;
const POLICY = { no: 0, always: 1, "unless-stopped": 2, "on-failure": 3 } as const;

const encoder = new TextEncoder();

/**
 * The three parts of a plan: every method appends one operand. A plan has some seven hundred, and a call into the engine
 * for each would cost more than making it: so numbers go into an array, and all texts are encoded at once.
 */
class Writer {
  #numbers = new Uint32Array(2048);
  #count = 0;
  readonly #texts: string[] = [];
  readonly #bytes: Uint8Array[] = [];

  u(value: number): void {
    if (this.#count === this.#numbers.length) {
      const larger = new Uint32Array(this.#count * 2);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#numbers[this.#count++] = value;
  }

  U(value: number | bigint): void {
    const wide = BigInt(value);
    this.u(Number(wide & 0xffff_ffffn));
    this.u(Number((wide >> 32n) & 0xffff_ffffn));
  }

  yes(value: boolean | undefined): void {
    this.u(value ? 1 : 0);
  }

  s(value: string | undefined): void {
    this.#texts.push(value ?? "");
  }

  b(value: string | Uint8Array): void {
    const bytes = typeof value === "string" ? encoder.encode(value) : value;
    this.u(bytes.length);
    this.#bytes.push(bytes);
  }

  l(values: readonly string[]): void {
    this.u(values.length);
    for (const value of values) this.#texts.push(value);
  }

  n(values: readonly number[]): void {
    this.u(values.length);
    for (const value of values) this.u(value);
  }

  header(op: number, column: number, optional: boolean): void {
    this.u(op | (column << 8) | (optional ? 1 << 16 : 0));
  }

  done(): Uint8Array {
    const texts = encoder.encode(`${this.#texts.join("\0")}\0`);
    let at = 4 * HEAD + 4 * this.#count;
    let size = at + texts.length;
    for (const bytes of this.#bytes) size += bytes.length;
    const plan = new Uint8Array(size);
    const words = new Uint32Array(plan.buffer, 0, HEAD + this.#count);
    words[0] = MAGIC;
    words[1] = VERSION;
    words[2] = this.#count;
    words[3] = texts.length;
    words.set(this.#numbers.subarray(0, this.#count), HEAD);
    plan.set(texts, at);
    at += texts.length;
    for (const bytes of this.#bytes) {
      plan.set(bytes, at);
      at += bytes.length;
    }
    return plan;
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
    case "companion":
      w.l(s.argv);
      w.s(s.ready);
      break;
    case "ask":
      w.s(s.socket);
      w.s(s.text);
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
      w.yes(s.abroad);
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
      w.s(s.base);
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
    case "hold":
      w.u(s.type);
      w.u(s.protocol);
      w.b(s.address);
      break;
    case "bpf_device":
      w.s(s.cgroup);
      w.b(s.program);
      break;
    case "read":
      w.s(s.path);
      w.s(s.key);
      break;
    case "apply":
      w.s(s.upper);
      w.s(s.folder);
      w.s(s.path);
      w.yes(s.remove);
      break;
    case "copy":
      w.s(s.base);
      w.s(s.path);
      w.s(s.volume);
      w.s(s.target);
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
  w.s(plan.says);
  program(w, plan.steps);
}

function keeper(w: Writer, plan: KeeperPlan): void {
  w.s(plan.lock);
  w.s(plan.pidFile);
  w.s(plan.socket);
  w.s(plan.exitFile);
  w.s(plan.exitSpare);
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
  w.u(plan.restarts ?? 0);
  w.U(plan.timeout);
  w.l(plan.cgroups);
  w.l(plan.reap);
  w.l(plan.remove);
  w.s(plan.events);
  w.s(plan.eventMembers);
  w.u(plan.stopAfter ?? 0);
  health(w, plan.health);
}

/** The plan's bytes. */
export function encode(plan: Plan): Uint8Array {
  const w = new Writer();
  keeper(w, plan.keeper);
  program(w, plan.steps);
  return w.done();
}
