/** `--subnet` and what belongs to one: gateways, ranges and auxiliary addresses find theirs by their numbers, as in Docker. */

import { SampanError } from "../../common/error.ts";
import { contains, overlap, parseCidr, parseIp } from "../../common/ip.ts";
import type { Subnet } from "../../network/types.ts";

type Draft = { -readonly [K in keyof Subnet]: Subnet[K] };

const refuse = (message: string): never => {
  throw new SampanError("invalid", message);
};

export interface SubnetFlags {
  readonly subnets: readonly string[];
  readonly gateways: readonly string[];
  readonly ranges: readonly string[];
  readonly auxiliary: Readonly<Record<string, string>>;
}

export function readSubnets({ subnets, gateways, ranges, auxiliary }: SubnetFlags): Subnet[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    refuse("every ip-range or gateway must have a corresponding subnet");
  const found: Draft[] = [];
  for (const subnet of subnets) {
    const cidr = parseCidr(subnet) ?? refuse(`invalid subnet ${subnet}: it is no prefix such as 10.5.0.0/24`);
    for (const other of found)
      if (overlap(cidr, parseCidr(other.subnet) ?? cidr))
        refuse("multiple overlapping subnet configuration is not supported");
    found.push({ subnet });
  }
  const holding = (address: Uint8Array | undefined, length?: number): Draft | undefined =>
    found.find((each) => {
      const cidr = parseCidr(each.subnet);
      return cidr && address && contains(cidr, address, length ?? address.length * 8);
    });
  for (const range of ranges) {
    const cidr = parseCidr(range);
    const subnet = holding(cidr?.address, cidr?.length) ?? refuse(`no matching subnet for range ${range}`);
    if (subnet.range)
      refuse(
        `cannot configure multiple ranges (${range}, ${subnet.range}) on the same subnet (${subnet.subnet})`,
      );
    subnet.range = range;
  }
  for (const gateway of gateways) {
    const subnet = holding(parseIp(gateway)) ?? refuse(`no matching subnet for gateway ${gateway}`);
    if (subnet.gateway)
      refuse(
        `cannot configure multiple gateways (${gateway}, ${subnet.gateway}) for the same subnet (${subnet.subnet})`,
      );
    subnet.gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const subnet = holding(parseIp(address)) ?? refuse(`no matching subnet for aux-address ${address}`);
    subnet.auxiliary = { ...subnet.auxiliary, [name]: address };
  }
  return found;
}
