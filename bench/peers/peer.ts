/**
 * An engine under measurement: command lines, and nothing else. What an engine does not have is absent: bwrap runs a
 * process and forgets it, runc and crun keep containers but no books, skopeo with umoci knows images and runs nothing.
 */
import type { Busybox } from "../busybox.ts";
import type { Command } from "../command.ts";

export type PeerName = "sampan" | "crun" | "runc" | "bwrap" | "podman" | "docker" | "skopeo";
/** The columns, in their order. */
export const PEER_NAMES: readonly PeerName[] = [
  "sampan",
  "crun",
  "runc",
  "bwrap",
  "podman",
  "docker",
  "skopeo",
];

export interface Peer {
  readonly name: PeerName;
  readonly version: string;
  /** Its executable. */
  readonly program: string;
  /** Runs `true` of busybox in a new container in the foreground, and leaves nothing. */
  run?(): Command;
  readonly images?: Keeping;
  readonly background?: Background;
  readonly books?: Books;
  readonly networks?: Networks;
  /** Stops what was started for it. */
  stop?(): Promise<void>;
}

/** What moves and keeps images. */
export interface Keeping {
  /** From a registry that speaks plain http. */
  pull(reference: string): Command;
  load(archive: string): Command;
  save(image: string, file: string): Command;
  /** Removes images, if they are there. */
  clear(names: readonly string[]): Command;
  /** Runs a command in a container that stays when it has ended. */
  fill?(name: string, command: Command): Command;
  commit?(container: string, image: string): Command;
  /** Files between this machine and a container, whose paths begin with `NAME:`. */
  copy?(from: string, to: string): Command;
  readonly list?: Command;
  /** Programs that work for it without being its children, by the names that the kernel has of them. */
  readonly daemons: readonly string[];
}

/** Containers that stay. */
export interface Background {
  /** Starts a container in the background and returns when its process runs. */
  start(name: string, command: Command): Command;
  /** Runs `true` in it. */
  exec(name: string): Command;
  /** Kills and removes them all. */
  remove(names: readonly string[]): Command;
}

/** Where a container is on the network; nothing said: on the engine's default one. */
export interface Connected {
  readonly network?: string;
  /** `8080:80` */
  readonly publish?: string;
}

export interface Networks {
  create(name: string): Command;
  delete(name: string): Command;
  /** As `Peer.run`, but connected. */
  run(connected: Connected): Command;
  /** As `Background.start`, but connected. */
  start(name: string, command: Command, connected: Connected): Command;
  /** Prints the pid of its process. */
  pid(name: string): Command;
}

/** `--network` and `--publish`, which all engines spell alike. */
export const connection = ({ network, publish }: Connected): string[] => [
  ...(network === undefined ? [] : ["--network", network]),
  ...(publish === undefined ? [] : ["--publish", publish]),
];

/** What an engine knows of its containers. */
export interface Books {
  /** Waits for a container's end. */
  wait(name: string): Command;
  /** Prints all that it wrote: every engine is told to keep every byte. */
  logs(name: string): Command;
  list(): Command;
  /** The processes that stay with its containers, one each. */
  keepers(): number[];
}

/** What a peer is set up with. */
export interface Setup extends Busybox {
  /** A folder of its own. */
  readonly folder: string;
}
