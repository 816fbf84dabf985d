/** How fast lines go into a log, and come out of it. Every engine keeps every byte. */
import { type Command, sh, silently } from "../command.ts";
import { Containers } from "../containers.ts";
import type { Books } from "../peers/peer.ts";
import { type Medians, median, milliseconds } from "../sample.ts";
import { atLeast, atMostTimes, type Bench, type Measure, type Row } from "./measure.ts";

const LINE = 100;
const MEGABYTE = 1e6;
const WRITTEN_MB = 100;
/** Reading this much takes the others half a minute; they are asked for as much as they wrote. */
const READ_MB = 500;
const READ_BUDGET = 100;

export const logs: Measure = {
  name: "logs",
  rows: async (bench) => [await write(bench), await read(bench)],
};

async function write({ peers, slowSamples, scale, signal }: Bench): Promise<Row> {
  const size = WRITTEN_MB / scale;
  const values: Medians = {};
  for (const { name, background, books } of peers) {
    if (!background || !books) continue;
    const times: number[] = [];
    for (let sample = 0; sample < slowSamples; sample++) {
      signal.throwIfAborted();
      using containers = Containers.named(background, 1);
      times.push(await milliseconds(() => fill(containers, books, size)));
    }
    values[name] = median(times) / 1000;
  }
  const budgets = [atMostTimes(1, "podman")];
  return {
    title: `a container writes ${size} MB of lines`,
    unit: "s",
    values,
    samples: slowSamples,
    budgets,
  };
}

async function read({ peers, slowSamples, scale, signal }: Bench): Promise<Row> {
  const values: Medians = {};
  for (const { name, background, books } of peers) {
    if (!background || !books) continue;
    const own = name === "sampan";
    const size = (own ? READ_MB : WRITTEN_MB) / scale;
    using containers = Containers.named(background, 1);
    fill(containers, books, size);
    const times: number[] = [];
    for (let sample = 0; sample < (own ? slowSamples : 1); sample++) {
      signal.throwIfAborted();
      times.push(await milliseconds(() => readAll(books, containers, size)));
    }
    values[name] = size / (median(times) / 1000);
  }
  const budgets = [atLeast(READ_BUDGET, "MB/s")];
  const title = `\`logs\` reads ${READ_MB / scale} MB of them`;
  return { title, unit: "MB/s", values, samples: slowSamples, budgets };
}

/** Runs a container that writes so many megabytes, to its end. */
function fill(containers: Containers, books: Books, megabytes: number): void {
  for (const command of containers.commands(writer(megabytes))) silently(command);
  for (const name of containers.names) silently(books.wait(name));
}

/** One megabyte of lines in a file, and one `cat` that writes it many times: a writer that costs next to nothing. */
function writer(megabytes: number): Command {
  const line = "x".repeat(LINE - 1);
  return [
    "sh",
    "-c",
    `yes ${line} | head -c ${MEGABYTE} >/lines && cat $(yes /lines | head -n ${megabytes})`,
  ];
}

/** Through a pipe, as programs read logs; and all of it must come. */
function readAll(books: Books, containers: Containers, megabytes: number): void {
  for (const name of containers.names) {
    const bytes = Number(sh("sh", "-c", '"$@" | wc -c', "sh", ...books.logs(name)));
    if (bytes !== megabytes * MEGABYTE)
      throw new Error(`${books.logs(name).join(" ")}: ${bytes} bytes of ${megabytes} MB`);
  }
}
