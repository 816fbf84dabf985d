/**
 * Images made by hand, without a network: a busybox with its applets, and archives of any content. Archives are in the
 * form that `docker save` writes.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type EntryInput, entryOf, TarWriter, tarBytes } from "../../src/image/tar/writer.ts";

/** A member of a layer: an entry, with its content where it is a file. */
export type Member = EntryInput & { readonly content?: string | Uint8Array };

export const sha256 = (bytes: Uint8Array | string): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

/** A layer's tar. */
export const layerTar = (members: readonly Member[]): Uint8Array =>
  tarBytes((tar) => {
    for (const { content, ...entry } of members) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      tar.entry(entryOf(bytes ? { ...entry, size: bytes.length } : entry));
      if (bytes && bytes.length > 0) tar.data(bytes);
    }
  });

export interface ArchiveImage {
  /** References such as `busybox:latest`; none: an image without a name. */
  readonly tags: readonly string[];
  /** Tars, lowest first. */
  readonly layers: readonly Uint8Array[];
  /** The members of the config's `config`: Cmd, Env, User … */
  readonly config?: Record<string, unknown>;
  /** Members of the config itself: architecture, created, history … */
  readonly image?: Record<string, unknown>;
}

const ARCHITECTURE: Record<string, string> = { x64: "amd64", arm64: "arm64" };

/** The config of an image of this machine's architecture. */
export const imageConfig = (image: ArchiveImage): string =>
  JSON.stringify({
    architecture: ARCHITECTURE[process.arch] ?? process.arch,
    os: "linux",
    created: "2024-01-02T03:04:05Z",
    config: image.config ?? {},
    rootfs: { type: "layers", diff_ids: image.layers.map(sha256) },
    history: image.layers.map((_, index) => ({
      created: "2024-01-02T03:04:05Z",
      created_by: `layer ${index}`,
    })),
    ...image.image,
  });

/** A `docker save` archive, the way Docker wrote it before 25: manifest.json, configs, <layer>/layer.tar. */
export function dockerArchive(images: readonly ArchiveImage[]): Uint8Array {
  return tarBytes((tar) => {
    const written = new Set<string>();
    const manifest = images.map((image) => {
      const config = imageConfig(image);
      const configName = `${sha256(config).slice(7)}.json`;
      if (!written.has(configName)) tar.file(configName, config);
      written.add(configName);
      const layers = image.layers.map((layer) => {
        const folder = sha256(layer).slice(7);
        if (!written.has(folder)) {
          tar.entry(entryOf({ name: folder, type: "dir" }));
          tar.file(`${folder}/layer.tar`, layer);
        }
        written.add(folder);
        return `${folder}/layer.tar`;
      });
      return {
        Config: configName,
        RepoTags: image.tags.length > 0 ? image.tags : null,
        Layers: layers,
      };
    });
    tar.file("manifest.json", JSON.stringify(manifest));
  });
}

export interface BusyboxOptions {
  /** Default: busybox:latest. */
  readonly tag?: string;
  /** Members of the config's `config`; the default has Cmd ["sh"] and a PATH. */
  readonly config?: Record<string, unknown>;
  /** More members in a second layer. */
  readonly extra?: readonly Member[];
}

/** Where busybox-static puts the program; tests that need it skip with this reason where it is absent. */
export const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
export const NO_BUSYBOX = BUSYBOX === undefined ? "busybox-static is not installed" : undefined;

/** What busybox can be called, as this machine's lists it. */
export function busyboxApplets(): string[] {
  if (BUSYBOX === undefined) throw new Error("busybox-static is not installed");
  const names = Bun.spawnSync([BUSYBOX, "--list"]).stdout.toString().split("\n");
  return names.filter((name) => name && name !== "busybox");
}

/**
 * The members of a small but complete system on busybox: applets, users, groups, /tmp, /root. `program`: another
 * architecture's busybox, which has the same applets.
 */
export function busyboxMembers(program: string | undefined = BUSYBOX): Member[] {
  if (program === undefined) throw new Error("busybox-static is not installed");
  const dir = (name: string, mode = 0o755): Member => ({ name, type: "dir", mode });
  return [
    dir("bin"),
    { name: "bin/busybox", type: "file", mode: 0o755, content: readFileSync(program) },
    ...busyboxApplets().map(
      (name): Member => ({ name: `bin/${name}`, type: "link", link: "bin/busybox", mode: 0o755 }),
    ),
    dir("dev"),
    dir("etc"),
    {
      name: "etc/passwd",
      type: "file",
      content:
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\n" +
        "mail:x:8:8:mail:/var/spool/mail:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\n" +
        "operator:x:37:37:Operator:/var:/bin/false\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n" +
        "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    },
    {
      name: "etc/group",
      type: "file",
      content:
        "root:x:0:\ndaemon:x:1:\nbin:x:2:\nwheel:x:10:root,alice\nmail:x:8:\nwww-data:x:33:\naudio:x:63:alice\n" +
        "alice:x:1000:\nnobody:x:65534:\n",
    },
    { name: "etc/shadow", type: "file", mode: 0o600, content: "root:*:::::::\n" },
    dir("home"),
    { name: "home/alice", type: "dir", uid: 1000, gid: 1000 },
    dir("root", 0o700),
    dir("tmp", 0o1777),
    dir("usr"),
    { name: "usr/bin", type: "symlink", link: "../bin" },
    dir("var"),
    dir("var/spool"),
    { name: "var/spool/mail", type: "dir", uid: 8, gid: 8 },
  ];
}

/** Writes a `docker save` archive with `busybox:latest` into `dir`; returns its path. */
export function busyboxArchive(dir: string, options: BusyboxOptions = {}): string {
  const tag = options.tag ?? "busybox:latest";
  const layers = [layerTar(busyboxMembers())];
  if (options.extra) layers.push(layerTar(options.extra));
  const config = options.config ?? {
    Cmd: ["sh"],
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  };
  const path = `${dir}/${tag.replace(/[^a-zA-Z0-9.-]/g, "_")}.tar`;
  writeFileSync(path, dockerArchive([{ tags: [tag], layers, config }]));
  return path;
}

export { TarWriter, tarBytes };
