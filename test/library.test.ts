/** The library as its own documentation shows it. */
import { expect, test } from "bun:test";
import { ATTACH, DEFAULTS, Engine } from "../src/index.ts";
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
