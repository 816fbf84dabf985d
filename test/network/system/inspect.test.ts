/** What inspect says of containers that are on no network of their own: as Docker says it. */
import { afterAll, expect, test } from "bun:test";
import { Sandbox } from "../../support/sandbox.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox[Symbol.asyncDispose]());

interface Shown {
  readonly Id: string;
  readonly HostsPath: string;
  readonly ResolvConfPath: string;
  readonly HostnamePath: string;
  readonly HostConfig: { readonly NetworkMode: string };
  readonly NetworkSettings: { readonly Networks: Record<string, Record<string, unknown>> };
}
const inspect = async (name: string): Promise<Shown> =>
  (JSON.parse(await sandbox.ok("inspect", name)) as Shown[])[0] as Shown;
const idOf = (network: string): Promise<string> => sandbox.ok("network", "inspect", "-f", "{{.Id}}", network);
const made = (network: string, name: string): Promise<string> =>
  sandbox.ok("create", "--network", network, "--name", name, "host", "sleep", "1000");

test.each(["none", "host"])(
  "--network %s: its id since the first start, an endpoint while it runs",
  async (network) => {
    await made(network, "one");
    const empty = {
      IPAMConfig: null,
      Gateway: "",
      IPAddress: "",
      IPPrefixLen: 0,
      MacAddress: "",
      DNSNames: null,
    };
    const before = await inspect("one");
    expect(before.HostConfig.NetworkMode).toBe(network);
    expect(before.NetworkSettings.Networks).toEqual({
      [network]: expect.objectContaining({ ...empty, NetworkID: "", EndpointID: "" }),
    });
    await sandbox.ok("start", "one");
    const running = await inspect("one");
    expect(running.NetworkSettings.Networks).toEqual({
      [network]: expect.objectContaining({
        ...empty,
        NetworkID: await idOf(network),
        EndpointID: expect.stringMatching(/^[0-9a-f]{64}$/),
      }),
    });
    const members = JSON.parse(await sandbox.ok("network", "inspect", "-f", "{{json .Containers}}", network));
    expect(members).toEqual({
      [running.Id]: {
        Name: "one",
        EndpointID: running.NetworkSettings.Networks[network]?.["EndpointID"],
        MacAddress: "",
        IPv4Address: "",
        IPv6Address: "",
      },
    });
    await sandbox.ok("stop", "-t", "0", "one");
    expect((await inspect("one")).NetworkSettings.Networks[network]).toMatchObject({
      NetworkID: await idOf(network),
      EndpointID: "",
    });
    await sandbox.ok("rm", "one");
  },
);

test("in another's namespace it has no networks, and once it was connected its mode is still a network's name", async () => {
  const peer = await sandbox.ok("run", "-d", "--name", "peer", "host", "sleep", "1000");
  await made("container:peer", "guest");
  const guest = await inspect("guest");
  expect(guest.HostConfig.NetworkMode).toBe(`container:${peer}`);
  expect(guest.NetworkSettings.Networks).toEqual({});
  // And so has who is in that one's: the files about it are those of the first.
  await made("container:guest", "third");
  await sandbox.ok("start", "guest", "third");
  const third = await inspect("third");
  const files = `${sandbox.root}/run/${peer.slice(0, 12)}`;
  expect([third.HostsPath, third.ResolvConfPath, third.HostnamePath]).toEqual([
    `${files}/hosts`,
    `${files}/resolv.conf`,
    `${files}/hostname`,
  ]);
  await sandbox.ok("rm", "-f", "third");
  await sandbox.ok("network", "create", "more");
  await sandbox.ok("network", "connect", "more", "peer");
  const { HostConfig, NetworkSettings } = await inspect("peer");
  expect(HostConfig.NetworkMode).toBe("bridge");
  expect(Object.keys(NetworkSettings.Networks)).toEqual(["bridge", "more"]);
  await sandbox.ok("rm", "-f", "peer", "guest");
  await sandbox.ok("network", "rm", "more");
});
