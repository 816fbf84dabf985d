/**
 * nf_tables (linux/netfilter/nf_tables.h): tables, chains, sets, rules and elements as one batch, which the kernel applies as a
 * whole or not at all. Numbers in attributes are in network order; registers are the kernel's: 1 to 4 of sixteen bytes, 8
 * to 23 the same room as words of four.
 */
import { type NetlinkWriter, NLM_F } from "./netlink.ts";

const SUBSYSTEM = 10;
const BATCH_BEGIN = 16;
const BATCH_END = 17;
const NFPROTO_INET = 1;

const MSG = {
  newTable: 0,
  delTable: 2,
  newChain: 3,
  newRule: 6,
  newSet: 9,
  newElement: 12,
  getRule: 7,
  getElement: 13,
  delElement: 14,
} as const;

/** Attributes by message (NFTA_*). */
const TABLE = { name: 1, flags: 2 } as const;
const CHAIN = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
const CHAIN_HOOK = { number: 1, priority: 2 } as const;
const SET = {
  table: 1,
  name: 2,
  flags: 3,
  keyType: 4,
  keyLength: 5,
  dataType: 6,
  dataLength: 7,
  description: 9,
  id: 10,
  userData: 13,
} as const;
const SET_CONCAT = 2;
const RULE = { table: 1, chain: 2, handle: 3, expressions: 4 } as const;
const EXPRESSION = { name: 1, data: 2 } as const;
const ELEMENTS = { table: 1, set: 2, list: 3 } as const;
const ELEMENT = { key: 1, data: 2, flags: 3, keyEnd: 10 } as const;
const DATA = { value: 1, verdict: 2 } as const;
const LIST_MEMBER = 1;

/** Value types of sets, as nft numbers them: they say how an element is printed. */
const TYPE = {
  ipv4_addr: { number: 7, length: 4 },
  ipv6_addr: { number: 8, length: 16 },
  inet_proto: { number: 12, length: 1 },
  inet_service: { number: 13, length: 2 },
  ifname: { number: 41, length: 16 },
} as const;
export type ValueType = keyof typeof TYPE;

const SET_FLAG = { interval: 4, map: 8, concat: 0x80 } as const;
const ELEMENT_INTERVAL_END = 1;

const VERDICT = { accept: 1, drop: 0, return: -5, jump: -3 } as const;
export type Verdict = "accept" | "drop" | "return" | { readonly jump: string };

export const META = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
export const CT = { state: 0, status: 2 } as const;
export const NFPROTO = { ipv4: 2, ipv6: 10 } as const;

export type Expression =
  | { readonly expr: "meta"; readonly key: keyof typeof META; readonly to: number }
  | { readonly expr: "ct"; readonly key: keyof typeof CT; readonly to: number }
  | {
      readonly expr: "payload";
      readonly base: "network" | "transport";
      readonly offset: number;
      readonly length: number;
      readonly to: number;
    }
  /** The type of the destination's address: RTN_LOCAL is 2. */
  | { readonly expr: "fib"; readonly to: number }
  | { readonly expr: "cmp"; readonly from: number; readonly not?: true; readonly value: Uint8Array }
  /** `from & mask`, in place. */
  | { readonly expr: "mask"; readonly register: number; readonly mask: Uint8Array }
  | {
      readonly expr: "lookup";
      readonly set: string;
      readonly from: number;
      readonly to?: number;
      /** What is not in it goes on. */
      readonly not?: true;
    }
  /** A value into a register. */
  | { readonly expr: "immediate"; readonly to: number; readonly value: Uint8Array }
  | { readonly expr: "verdict"; readonly verdict: Verdict }
  | { readonly expr: "masq" }
  | {
      readonly expr: "dnat";
      readonly family: keyof typeof NFPROTO;
      readonly address: number;
      readonly port: number;
    };

export interface NftSet {
  readonly name: string;
  readonly key: readonly ValueType[];
  /** Of a map. */
  readonly data?: readonly ValueType[];
  readonly interval?: true;
}

export interface NftChain {
  readonly name: string;
  /** Absent: a chain that others jump to. */
  readonly hook?: {
    readonly type: "filter" | "nat";
    readonly hook: keyof typeof HOOK;
    readonly priority: number;
  };
  readonly rules: readonly (readonly Expression[])[];
}

export interface NftTable {
  readonly name: string;
  readonly sets: readonly NftSet[];
  readonly chains: readonly NftChain[];
}

const HOOK = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** struct nfgenmsg */
function header(w: NetlinkWriter, message: number, flags: number): void {
  w.begin((SUBSYSTEM << 8) | message, flags);
  w.u8(NFPROTO_INET);
  w.u8(0);
  w.u16(0);
}

function bound(w: NetlinkWriter, type: number): void {
  w.begin(type, 0);
  w.u8(0);
  w.u8(0);
  w.u16(SUBSYSTEM << 8); // in network order
  w.end();
}

export const beginBatch = (w: NetlinkWriter): void => bound(w, BATCH_BEGIN);
export const endBatch = (w: NetlinkWriter): void => bound(w, BATCH_END);

/** Makes sure that it is there. */
export function ensureTable(w: NetlinkWriter, name: string): void {
  header(w, MSG.newTable, NLM_F.create | NLM_F.ack);
  w.attrText(TABLE.name, name);
  w.attrBe32(TABLE.flags, 0);
  w.end();
}

export function deleteTable(w: NetlinkWriter, name: string): void {
  header(w, MSG.delTable, NLM_F.ack);
  w.attrText(TABLE.name, name);
  w.end();
}

/** Sets, then chains, then rules: each names only what is there. */
export function fillTable(w: NetlinkWriter, table: NftTable): void {
  let id = 0;
  for (const set of table.sets) newSet(w, table.name, set, ++id);
  for (const chain of table.chains) newChain(w, table.name, chain);
  for (const chain of table.chains) for (const rule of chain.rules) newRule(w, table.name, chain.name, rule);
}

/** The number of a type, or of several as one: six bits each. */
function typeNumber(types: readonly ValueType[]): number {
  let number = 0;
  for (const type of types) number = (number << 6) | TYPE[type].number;
  return number;
}

/** In bytes; parts of a concatenation begin at words of four. */
function typeLength(types: readonly ValueType[]): number {
  const only = types.length === 1 ? types[0] : undefined;
  if (only !== undefined) return TYPE[only].length;
  let length = 0;
  for (const type of types) length += (TYPE[type].length + 3) & ~3;
  return length;
}

function newSet(w: NetlinkWriter, table: string, set: NftSet, id: number): void {
  const several = set.key.length > 1;
  header(w, MSG.newSet, NLM_F.create);
  w.attrText(SET.table, table);
  w.attrText(SET.name, set.name);
  w.attrBe32(
    SET.flags,
    (set.interval ? SET_FLAG.interval : 0) |
      (set.data ? SET_FLAG.map : 0) |
      (set.interval && several ? SET_FLAG.concat : 0),
  );
  w.attrBe32(SET.keyType, typeNumber(set.key));
  w.attrBe32(SET.keyLength, typeLength(set.key));
  if (set.data) {
    w.attrBe32(SET.dataType, typeNumber(set.data));
    w.attrBe32(SET.dataLength, typeLength(set.data));
  }
  w.attrBe32(SET.id, id);
  // nft's own note on how to print the keys: a name is in the host's order.
  if (set.key[0] === "ifname" && !several) w.attrBytes(SET.userData, Uint8Array.of(0, 4, 1, 0, 0, 0));
  if (set.interval && several) {
    // Ranges of several values are searched part by part: the kernel wants to know where each begins.
    const description = w.open(SET.description);
    const parts = w.open(SET_CONCAT);
    for (const type of set.key) {
      const part = w.open(LIST_MEMBER);
      w.attrBe32(1, TYPE[type].length);
      w.close(part);
    }
    w.close(parts);
    w.close(description);
  }
  w.end();
}

function newChain(w: NetlinkWriter, table: string, { name, hook }: NftChain): void {
  header(w, MSG.newChain, NLM_F.create);
  w.attrText(CHAIN.table, table);
  w.attrText(CHAIN.name, name);
  if (hook) {
    w.attrText(CHAIN.type, hook.type);
    const nested = w.open(CHAIN.hook);
    w.attrBe32(CHAIN_HOOK.number, HOOK[hook.hook]);
    w.attrBe32(CHAIN_HOOK.priority, hook.priority);
    w.close(nested);
    w.attrBe32(CHAIN.policy, VERDICT.accept);
  }
  w.end();
}

function newRule(w: NetlinkWriter, table: string, chain: string, expressions: readonly Expression[]): void {
  header(w, MSG.newRule, NLM_F.create | NLM_F.append);
  w.attrText(RULE.table, table);
  w.attrText(RULE.chain, chain);
  const list = w.open(RULE.expressions);
  for (const expression of expressions) {
    const element = w.open(LIST_MEMBER);
    w.attrText(EXPRESSION.name, kernelName(expression));
    const data = w.open(EXPRESSION.data);
    operands(w, expression);
    w.close(data);
    w.close(element);
  }
  w.close(list);
  w.end();
}

function kernelName({ expr }: Expression): string {
  if (expr === "mask") return "bitwise";
  if (expr === "verdict") return "immediate";
  return expr === "dnat" ? "nat" : expr;
}

function value(w: NetlinkWriter, type: number, bytes: Uint8Array): void {
  const nested = w.open(type);
  w.attrBytes(DATA.value, bytes);
  w.close(nested);
}

/** Each has attributes of its own, numbered from 1: NFTA_META_DREG, NFTA_META_KEY and so on. */
function operands(w: NetlinkWriter, e: Expression): void {
  switch (e.expr) {
    case "meta":
      w.attrBe32(2, META[e.key]);
      w.attrBe32(1, e.to);
      return;
    case "ct":
      w.attrBe32(2, CT[e.key]);
      w.attrBe32(1, e.to);
      return;
    case "payload":
      w.attrBe32(1, e.to);
      w.attrBe32(2, e.base === "network" ? 1 : 2);
      w.attrBe32(3, e.offset);
      w.attrBe32(4, e.length);
      return;
    case "fib":
      w.attrBe32(3, 2); // by the destination's address
      w.attrBe32(2, 3); // the address's type
      w.attrBe32(1, e.to);
      return;
    case "cmp":
      w.attrBe32(1, e.from);
      w.attrBe32(2, e.not ? 1 : 0);
      value(w, 3, e.value);
      return;
    case "mask":
      w.attrBe32(1, e.register);
      w.attrBe32(2, e.register);
      w.attrBe32(3, e.mask.length);
      value(w, 4, e.mask);
      value(w, 5, new Uint8Array(e.mask.length));
      return;
    case "lookup":
      w.attrText(1, e.set);
      w.attrBe32(2, e.from);
      if (e.to !== undefined) w.attrBe32(3, e.to);
      if (e.not) w.attrBe32(5, 1);
      return;
    case "immediate":
      w.attrBe32(1, e.to);
      value(w, 2, e.value);
      return;
    case "verdict": {
      w.attrBe32(1, 0);
      const data = w.open(2);
      const verdict = w.open(2);
      w.attrBe32(1, typeof e.verdict === "string" ? VERDICT[e.verdict] : VERDICT.jump);
      if (typeof e.verdict !== "string") w.attrText(2, e.verdict.jump);
      w.close(verdict);
      w.close(data);
      return;
    }
    case "dnat":
      w.attrBe32(1, 1);
      w.attrBe32(2, NFPROTO[e.family]);
      w.attrBe32(3, e.address);
      w.attrBe32(5, e.port);
      return;
    case "masq":
      return;
  }
}

/** One element of a set or a map. */
export interface Element {
  readonly key: Uint8Array;
  /** The end of a range, itself within; of one value alone it is the value just behind it (see `elements`). */
  readonly end?: Uint8Array;
  readonly data?: Uint8Array;
}

/**
 * Adds or deletes elements. An element that is there with the same data is fine; with other data the batch is refused. What is
 * deleted must be there. A range of a single value is two elements to the kernel: its begin, and the first value behind.
 */
export function elements(
  w: NetlinkWriter,
  action: "add" | "delete",
  table: string,
  set: string,
  list: readonly Element[],
  concatenated = false,
): void {
  header(
    w,
    action === "add" ? MSG.newElement : MSG.delElement,
    action === "add" ? NLM_F.create | NLM_F.ack : NLM_F.ack,
  );
  w.attrText(ELEMENTS.table, table);
  w.attrText(ELEMENTS.set, set);
  const nested = w.open(ELEMENTS.list);
  for (const element of list) {
    const one = w.open(LIST_MEMBER);
    value(w, ELEMENT.key, element.key);
    if (element.end && concatenated) value(w, ELEMENT.keyEnd, element.end);
    if (element.data) value(w, ELEMENT.data, element.data);
    w.close(one);
    if (element.end && !concatenated) {
      const end = w.open(LIST_MEMBER);
      value(w, ELEMENT.key, element.end);
      w.attrBe32(ELEMENT.flags, ELEMENT_INTERVAL_END);
      w.close(end);
    }
  }
  w.close(nested);
  w.end();
}

/** Asks for one element, not within a batch: an error if it is not there. */
export function getElement(w: NetlinkWriter, table: string, set: string, key: Uint8Array): void {
  header(w, MSG.getElement, NLM_F.ack);
  w.attrText(ELEMENTS.table, table);
  w.attrText(ELEMENTS.set, set);
  const list = w.open(ELEMENTS.list);
  const one = w.open(LIST_MEMBER);
  value(w, ELEMENT.key, key);
  w.close(one);
  w.close(list);
  w.end();
}

/**
 * The handle of the last rule of a table that was made by `fillTable`: the kernel counts its sets, chains and rules as they
 * come.
 */
export const lastHandle = ({ sets, chains }: NftTable): number =>
  sets.length + chains.reduce((count, { rules }) => count + 1 + rules.length, 0);

/** Asks for one rule, not within a batch: an error if it is not there. */
export function getRule(w: NetlinkWriter, table: string, chain: string, handle: number): void {
  header(w, MSG.getRule, NLM_F.ack);
  w.attrText(RULE.table, table);
  w.attrText(RULE.chain, chain);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(4, handle);
  w.attrBytes(RULE.handle, bytes);
  w.end();
}
