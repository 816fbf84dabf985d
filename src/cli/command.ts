/** What a command is: its flags as data, how many words it takes, and what it does. Each lives in a file of its own. */
import type { Flags, Values } from "./flags.ts";

/** One call of a command. */
export interface Call<F extends Flags> {
  readonly flags: Values<F>;
  readonly args: readonly string[];
  /** As it was called, `sampan container ls`. */
  readonly name: string;
  /** Which engine: `Engine.open(call.where)`. */
  readonly where: { readonly root?: string };
}

export interface Command<F extends Flags = Flags> {
  /** What follows the name: `[OPTIONS] CONTAINER [CONTAINER...]`. */
  readonly usage: string;
  readonly flags: F;
  readonly least: number;
  readonly most: number;
  /** Flags end at the first word that is none. */
  readonly interspersed?: false;
  /** Flags end at this word if it is the first that is none: what follows is another command's. */
  readonly last?: string;
  /** The exit code when the engine refuses; 1 where it is not said. */
  readonly failure?: number;
  /** Resolves to the exit code. */
  run(call: Call<F>): number | Promise<number>;
}

/** Gives the command its type: that of its flags' values. */
export const command = <const F extends Flags>(definition: Command<F>): Command<F> => definition;

/** What one command shows of itself in lists and in its help. */
export interface Entry {
  /** All its names; the last is the short one. */
  readonly names: readonly string[];
  readonly summary: string;
  readonly common?: true;
  readonly load: () => Promise<{ readonly default: Command }>;
}
