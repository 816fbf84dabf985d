/** A container through the library, with nothing to start but the container, against the fastest bare runtime. */
import { type ContainerConfig, DEFAULTS } from "../../src/container/config.ts";
import { Engine } from "../../src/engine.ts";
import { ATTACH } from "../../src/launch/index.ts";
import { CGROUP_PARENT } from "../isolate.ts";
import { type Contender, compare, contender } from "../sample.ts";
import { atMostTimes, type Measure } from "./measure.ts";

const CONFIG: ContainerConfig = {
  ...DEFAULTS,
  image: "busybox",
  command: ["true"],
  cgroupParent: CGROUP_PARENT,
  // Its end removes it, as with `run --rm` and as every peer's here: nothing of it need reach the disk.
  autoRemove: true,
  namespaces: { net: { mode: "none" } },
};

export const engine: Measure = {
  name: "engine",
  async rows({ peers, busybox, folder, samples, signal }) {
    const own = Engine.open({ root: `${folder}/library`, run: "/run/library" });
    await own.images.load(busybox.archive);
    const library: Contender = { name: "sampan", once: () => createStartWait(own) };
    const runtimes = peers.filter(({ name }) => name === "crun" || name === "runc");
    const contenders = [
      library,
      ...runtimes.flatMap(({ name, run }) => (run ? [contender(name, run())] : [])),
    ];
    const values = await compare(contenders, { samples, signal });
    own.close();
    const budgets = [atMostTimes(0.6, "crun")];
    return [{ title: "create, start, wait, remove through `Engine`", unit: "ms", values, samples, budgets }];
  },
};

/** Attached, as a program does that wants the output: whoever is there at the end records it. */
async function createStartWait({ containers }: Engine): Promise<void> {
  const { id } = await containers.create(CONFIG);
  const connection = await containers.start(id, { attach: true });
  connection.attach(ATTACH.stdout | ATTACH.stderr);
  const exit = await containers.finish(id, connection);
  if (exit?.code !== 0) throw new Error(`the container ended with ${exit?.code}`);
}
