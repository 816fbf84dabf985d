/** What each guest of these checks is made of. */
import { HERE } from "../support/guest/architecture.ts";
import { compiled } from "../support/guest/build.ts";
import type { Guest } from "../support/guest/report.ts";
import { TRACES } from "../v2/checks.ts";
import { LINKS } from "./links.ts";
import { IPVLAN } from "./networks.ts";
import { compiledPolicy } from "./policy.ts";
import { SCTP } from "./sctp.ts";
import { SELINUX } from "./selinux.ts";
import { addServers, VOLUME_MODULES, VOLUMES } from "./volumes.ts";

const NETWORK_MODULES = [
  "dummy",
  "ipvlan",
  "macvlan",
  "8021q",
  "veth",
  "bridge",
  "nf_tables",
  "nft_chain_nat",
  "nft_ct",
  "nft_nat",
];

export const MODULES: Guest = {
  architecture: HERE,
  checks: [...IPVLAN, ...LINKS, ...SCTP, ...VOLUMES, ...TRACES],
  modules: [...NETWORK_MODULES, "nft_masq", "nft_fib_inet", "sctp", ...VOLUME_MODULES],
  add(root) {
    addServers(root);
    root.file("bin/sctp", compiled(HERE, `${import.meta.dir}/sctp.c`), 0o755);
  },
  timeout: 600_000,
};

export const ENFORCING: Guest = {
  architecture: HERE,
  kernelOptions: "security=selinux",
  checks: [...SELINUX, ...TRACES],
  add(root) {
    root.file("policy", compiledPolicy());
    root.file("bin/label", compiled(HERE, `${import.meta.dir}/label.c`), 0o755);
  },
  timeout: 600_000,
};
