/**
 * The same program on another processor: everything built for aarch64 and run under a kernel of it, in an emulator. A
 * command of its own, since it takes a compiler for that and minutes: `npm run test:arm64`.
 */
import { expect, test } from "bun:test";
import { syscallNumbers } from "../../src/runtime/seccomp/assemble.ts";
import { ARM64 } from "../support/guest/architecture.ts";
import { inGuest } from "../support/guest/report.ts";
import { CHECKS } from "./checks.ts";
import { numbersOfHeaders } from "./compiler.ts";
import { extra } from "./extra.ts";

test("system calls have the numbers of the kernel's own headers", () => {
  const headers = numbersOfHeaders();
  const newest = Math.max(...headers.values());
  const known = [...syscallNumbers("aarch64")].filter(([, number]) => number <= newest);
  expect(Object.fromEntries(known)).toEqual(Object.fromEntries(headers));
});

inGuest("on aarch64", {
  architecture: ARM64,
  checks: CHECKS,
  modules: ["veth", "bridge", "nf_tables", "nft_chain_nat", "nft_ct", "nft_nat", "nft_masq", "nft_fib_inet"],
  add: extra,
  timeout: 1_800_000,
});
