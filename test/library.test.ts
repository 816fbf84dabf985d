/** The library as its own documentation shows it. */
import { expect, test } from "bun:test";
import { ATTACH, type Container, compare, DEFAULTS, Engine } from "../src/index.ts";
import { Sandbox } from "./support/sandbox.ts";

test("a container in process: its output, its exit, nothing left", async () => {
  await using box = new Sandbox();
  const engine = Engine.open({ root: box.root, run: `${box.root}/run` });
  const { container, connection } = await engine.containers.run(
    {
      ...DEFAULTS,
      image: "host",
      command: ["echo", "hello"],
      autoRemove: true,
      cgroupParent: box.cgroupParent,
    },
    { attach: true },
  );
  let output = "";
  connection.onOutput = (_, bytes) => {
    output += new TextDecoder().decode(bytes);
  };
  connection.attach(ATTACH.stdout | ATTACH.stderr);
  const exit = await engine.containers.finish(container.id, connection);
  expect(exit?.code).toBe(0);
  expect(output).toBe("hello\n");
  expect(engine.containers.list({ all: true })).toEqual([]);
  engine.close();
  expect(await box.left()).toEqual([]);
});

test("a container explains itself: a program can say that it has no CAP_SYS_ADMIN", async () => {
  await using box = new Sandbox();
  const engine = Engine.open({ root: box.root, run: `${box.root}/run` });
  const run = async (name: string, capAdd: readonly string[]): Promise<Container> => {
    const config = { ...DEFAULTS, image: "host", command: ["sleep", "1000"], capAdd };
    const asked = { ...config, networks: [], namespaces: { net: { mode: "none" } } } as const;
    return (await engine.containers.run({ ...asked, cgroupParent: box.cgroupParent }, { name })).container;
  };
  const container = await run("web", []);
  const { target, process: rights } = await container.explain();
  expect(target).toMatchObject({ name: "web", id: container.id, pid: container.state.pid });
  expect(rights.capabilities.effective).not.toContain("CAP_SYS_ADMIN");
  expect(rights.capabilities.bounding).not.toContain("CAP_SYS_ADMIN");
  expect(rights.capabilities.dropped).toContain("CAP_SYS_ADMIN");
  // The same assertion fails where it should.
  const other = await (await run("admin", ["SYS_ADMIN"])).explain();
  expect(other.process.capabilities.effective).toContain("CAP_SYS_ADMIN");
  const { differences } = await compare(await container.explain(), other);
  expect(differences.find(({ what }) => what === "capabilities, bounding")?.b).toContain("CAP_SYS_ADMIN");

  // However one got it; and it is data all the same.
  expect((await engine.containers.get("web").explain()).target.pid).toBe(container.state.pid);
  const listed = engine.containers.list().find(({ name }) => name === "web");
  expect((await listed?.explain())?.target.pid).toBe(container.state.pid);
  expect(Object.keys(container)).not.toContain("explain");

  await engine.containers.remove("web", { force: true });
  await engine.containers.remove("admin", { force: true });
  await expect(container.explain()).rejects.toMatchObject({ code: "not-found" });
  engine.close();
  expect(await box.left()).toEqual([]);
});
