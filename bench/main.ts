/**
 * `npm run bench`: sampan beside the engines that this machine has, in one run and one table.
 *
 *   bun bench/main.ts [--quick] [--write] [--peers NAME,…] [PART…]
 *
 * Parts are run, engine, exec, together, memory, ps, logs, startup, images, network, explain; none: all. `--quick` takes few samples of
 * small things, which shows that everything works and nothing else. `--write` puts the table into docs/benchmarks.md.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { makeBusybox } from "./busybox.ts";
import { enter, furnish, inside, placeIn, removeCgroups } from "./isolate.ts";
import { machineFacts } from "./machine.ts";
import { engine } from "./measures/engine.ts";
import { exec } from "./measures/exec.ts";
import { explain } from "./measures/explain.ts";
import { images } from "./measures/images.ts";
import { list } from "./measures/list.ts";
import { logs } from "./measures/logs.ts";
import type { Bench, Row } from "./measures/measure.ts";
import { memory } from "./measures/memory.ts";
import { network } from "./measures/network.ts";
import { run } from "./measures/run.ts";
import { startup } from "./measures/startup.ts";
import { together } from "./measures/together.ts";
import { setUpPeers } from "./peers/index.ts";
import { PEER_NAMES, type PeerName } from "./peers/peer.ts";
import { table, writeBetweenMarkers } from "./table.ts";

const MEASURES = [run, engine, exec, together, memory, list, logs, startup, images, network, explain];
const PAGE = new URL("../docs/benchmarks.md", import.meta.url).pathname;
const FULL = { samples: 20, slowSamples: 5, scale: 1 };
const QUICK = { samples: 3, slowSamples: 1, scale: 10 };

const { values: flags, positionals: parts } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    peers: { type: "string", default: PEER_NAMES.join(",") },
  },
});

const strangers = [
  ...parts.filter((part) => !MEASURES.some(({ name }) => name === part)),
  ...flags.peers.split(",").filter((peer) => !PEER_NAMES.some((name) => name === peer)),
];
if (strangers.length > 0) {
  console.error(`there is no ${strangers.join(", ")} here: see the head of bench/main.ts`);
  process.exit(125);
}
if (process.getuid?.() !== 0) {
  console.error("the bench needs root: its peers do, and it makes namespaces for them");
  process.exit(125);
}

const folder = inside();
process.exit(folder ? await bench(folder) : await outside());

/** What the bench leaves is removed when everything that ran inside is dead. */
async function outside(): Promise<number> {
  const folder = mkdtempSync(`${tmpdir()}/sampan-bench-`);
  try {
    return await enter(folder);
  } finally {
    removeCgroups();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bench(folder: string): Promise<number> {
  const measures = MEASURES.filter(({ name }) => parts.length === 0 || parts.includes(name));
  const names = PEER_NAMES.filter((name) => flags.peers.split(",").includes(name));
  const interrupt = new AbortController();
  process.on("SIGINT", () => interrupt.abort());
  try {
    furnish(folder);
    const place = placeIn(folder);
    const busybox = makeBusybox(`${place}/busybox`);
    await using peers = await setUpPeers(place, busybox, names);
    for (const [name, reason] of peers.missing) console.error(`without ${name}: ${reason}`);
    const setting: Bench = {
      peers: peers.ready,
      busybox,
      folder: place,
      ...(flags.quick ? QUICK : FULL),
      signal: interrupt.signal,
    };
    const rows: Row[] = [];
    for (const measure of measures) {
      interrupt.signal.throwIfAborted();
      console.error(`measuring ${measure.name} …`);
      rows.push(...(await measure.rows(setting)));
    }
    await report(rows, machineFacts(peers.ready), peers.missing);
    return 0;
  } catch (cause) {
    // A command that Ctrl-C ended fails before the signal reaches us.
    await Bun.sleep(1);
    if (!interrupt.signal.aborted) throw cause;
    console.error("interrupted");
    return 130;
  }
}

async function report(
  rows: readonly Row[],
  facts: readonly string[],
  missing: ReadonlyMap<PeerName, string>,
): Promise<void> {
  const without = [...missing].map(([name, reason]) => `without ${name}: ${reason.split("\n")[0]}`);
  const text = [
    ...[...facts, ...without].map((fact) => `- ${fact}`),
    "",
    table(rows),
    "",
    "Medians of n samples. sampan, podman and docker run with `--network none`; crun and runc make a network namespace with nothing in it. bwrap has neither cgroup nor overlay.",
  ].join("\n");
  console.log(text);
  if (flags.write) await writeBetweenMarkers(PAGE, text);
}
