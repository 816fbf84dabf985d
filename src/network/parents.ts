/**
 * What the containers of a macvlan or an ipvlan are on. Mostly an interface of this machine's that somebody names; as with Docker,
 * without a name and with --internal it is one that leads nowhere, and `eth0.10` that is not there is VLAN 10 of eth0. Those two are
 * made when a container first needs them, as bridges are, and go with their network.
 */
import { SampanError } from "../common/error.ts";
import { newDeadEnd, newVlan } from "../kernel/rtnetlink.ts";
import { launchNow, type Step } from "../launch/index.ts";
import { OPTION, parentOf } from "./names.ts";
import { route } from "./shared.ts";
import type { Network } from "./types.ts";

const VLAN = /^(.+)\.(\d+)$/;
const VLANS = 4094;
const EOPNOTSUPP = 95;

/** Whether it must be made, of a network that is about to be; a name that cannot be is refused. */
export function isOwnParent(
  network: Network,
  others: readonly Network[],
  there: ReadonlySet<string>,
): boolean {
  const { driver, internal, options } = network;
  if (driver !== "macvlan" && driver !== "ipvlan") return false;
  const parent = options[OPTION.parent];
  if (!parent || internal) return true;
  if (parent === "lo")
    throw new SampanError("invalid", `loopback interface is not a valid ${driver} parent link`, {
      hint: "Name another of this machine's (`ip link` lists them), or none.",
    });
  // The last that is on it takes it along.
  if (others.some((other) => other.ownParent && parentOf(other) === parent)) return true;
  if (there.has(parent)) return false;
  const [, base = "", number = ""] = VLAN.exec(parent) ?? [];
  if (base === "" || !there.has(base) || parent.length > 15)
    throw new SampanError("invalid", `invalid parent interface: ${parent}: no such interface`, {
      hint: "`ip link` lists those of this machine; eth0.10 is made where there is eth0.",
    });
  if (Number(number) < 1 || Number(number) > VLANS)
    throw new SampanError("invalid", `vlan id must be between 1-${VLANS}, received: ${number}`);
  return true;
}

/** Steps that make those of these networks that are not there. */
export function parentSteps(networks: readonly Network[], there: Set<string>, root: string): Step[] {
  const steps: Step[] = [];
  for (const network of networks) {
    const name = parentOf(network);
    if (!network.ownParent || there.has(name)) continue;
    there.add(name);
    const [, base = "", number = ""] = network.internal ? [] : (VLAN.exec(name) ?? []);
    if (base !== "")
      steps.push(route((w) => ({ links: [{ at: newVlan(w, name, Number(number)), name: base }] })));
    else {
      const dummy = route((w) => newDeadEnd(w, name, "dummy"));
      const { ok, errno } = launchNow([dummy], root);
      if (!ok) steps.push(errno === EOPNOTSUPP ? route((w) => newDeadEnd(w, name, "ifb")) : dummy);
    }
  }
  return steps;
}
