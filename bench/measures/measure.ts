/** One question that is put to all engines: its rows in the table, and what was promised of them. */
import type { Busybox } from "../busybox.ts";
import type { Peer } from "../peers/peer.ts";
import type { Medians } from "../sample.ts";

export interface Bench {
  readonly peers: readonly Peer[];
  /** A temporary folder. */
  readonly folder: string;
  readonly busybox: Busybox;
  /** Samples of what is quick, and of what takes seconds each. */
  readonly samples: number;
  readonly slowSamples: number;
  /** Divides the sizes of what is filled or started in bulk; 1 in a full run. */
  readonly scale: number;
  readonly signal: AbortSignal;
}

export interface Measure {
  /** What a user of the bench calls it, to run it alone. */
  readonly name: string;
  rows(bench: Bench): Promise<Row[]>;
}

export interface Row {
  readonly title: string;
  readonly unit: "ms" | "s" | "MB" | "MB/s" | "Gbit/s" | "1,000/s";
  readonly values: Medians;
  readonly samples: number;
  readonly budgets: readonly Budget[];
}

/** A promise about sampan's figure. */
export interface Budget {
  /** Such as `≤ 1.5 × crun`. */
  readonly text: string;
  /** Whether it is kept; undefined where what it compares with was not measured. */
  kept(values: Medians): boolean | undefined;
  /** Where it stands, in the words of the promise: `1.31 × crun`. */
  standing(values: Medians): string;
}

type Other = "crun" | "docker" | "podman";

/** At most so many times another's figure. */
export function atMostTimes(factor: number, other: Other): Budget {
  return ratio(
    `≤ ${factor} × ${other}`,
    other,
    (own, theirs) => own <= factor * theirs,
    (own, theirs) => `${short(own / theirs)} ×`,
  );
}

/** At most another's figure divided by this. */
export function atMostPart(divisor: number, other: Other): Budget {
  return ratio(
    `≤ ${other} ÷ ${divisor}`,
    other,
    (own, theirs) => own <= theirs / divisor,
    (own, theirs) => `÷ ${short(theirs / own)}`,
  );
}

/** At most so many times a figure that was taken beside it. */
export function atMostOf(factor: number, figure: number, what: string): Budget {
  return {
    text: `≤ ${factor} × ${what}`,
    kept: ({ sampan }) => (sampan === undefined ? undefined : sampan <= factor * figure),
    standing: ({ sampan }) => (sampan === undefined ? "" : `${short(sampan / figure)} ×`),
  };
}

export function atMost(limit: number, unit: Row["unit"]): Budget {
  return {
    text: `≤ ${limit} ${unit}`,
    kept: ({ sampan }) => (sampan === undefined ? undefined : sampan <= limit),
    standing: () => "",
  };
}

export function atLeast(limit: number, unit: Row["unit"]): Budget {
  return {
    text: `≥ ${limit} ${unit}`,
    kept: ({ sampan }) => (sampan === undefined ? undefined : sampan >= limit),
    standing: () => "",
  };
}

function ratio(
  text: string,
  other: Other,
  keeps: (own: number, theirs: number) => boolean,
  stands: (own: number, theirs: number) => string,
): Budget {
  const both = <T>(values: Medians, answer: (own: number, theirs: number) => T): T | undefined => {
    const own = values.sampan;
    const theirs = values[other];
    return own === undefined || theirs === undefined ? undefined : answer(own, theirs);
  };
  return { text, kept: (values) => both(values, keeps), standing: (values) => both(values, stands) ?? "" };
}

const short = (value: number): string => value.toPrecision(2);
