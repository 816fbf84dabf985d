import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { linkSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { familiarName, loadedText, trees } from "../../src/image/index.ts";
import { lsetxattr, mknod } from "../../src/image/sys.ts";
import { getXattr } from "../../src/kernel/fs.ts";
import { busyboxArchive, NO_BUSYBOX } from "../support/image.ts";
import { ROOT } from "./merged.ts";
import { TestPlace } from "./place.ts";

setDefaultTimeout(60_000);

const run = (...argv: string[]): string => {
  const { success, stdout, stderr } = Bun.spawnSync(argv);
  if (!success) throw new Error(`${argv.join(" ")}\n${stderr.toString()}`);
  return stdout.toString();
};

/** Why a test with this program is left out; undefined: it is not. */
const missing = (program: string): string | undefined =>
  NO_BUSYBOX ?? (Bun.which(program) === null ? `${program} is not installed` : undefined);
const title = (program: string): string => {
  const why = missing(program);
  return why === undefined ? program : `${program} (skipped: ${why})`;
};

/** One more layer, as a container would have left it: something gone, something replaced, links, a capability, odd times. */
async function commitUpon(place: TestPlace): Promise<void> {
  const upper = `${place.root}/upper`;
  mkdirSync(`${upper}/etc/new`, { recursive: true });
  mkdirSync(`${upper}/home`);
  mknod(`${upper}/etc/group`, 0o020000, 0, 0);
  lsetxattr(`${upper}/home`, "trusted.overlay.opaque", Buffer.from("y"));
  writeFileSync(`${upper}/home/one`, "one");
  linkSync(`${upper}/home/one`, `${upper}/home/two`);
  // cap_net_raw+ep, as setcap writes it.
  lsetxattr(
    `${upper}/home/one`,
    "security.capability",
    Buffer.from("0100000200200000000000000000000000000000", "hex"),
  );
  utimesSync(`${upper}/home`, 1.5, 1_600_000_000.25);
  const parent = place.images.get("busybox");
  const root = place.images.root(parent);
  const lower = root.kind === "layers" ? root.lower : [];
  const { packHost } = await trees();
  const layer = (async function* () {
    yield* packHost({ do: "layer", upper: { upper, lower } });
  })();
  await place.images.commit(
    { parent, reference: "busybox", config: { Cmd: ["sh"] }, createdBy: "test" },
    layer,
  );
  expect(getXattr(`${place.top("busybox")}/home/two`, "security.capability")?.length).toBe(20);
}

async function withBusybox(): Promise<{ place: TestPlace; saved: string; id: string }> {
  const place = new TestPlace();
  const options = {
    extra: [
      { name: "etc/.wh.shadow", type: "file" as const },
      { name: "hello", type: "file" as const, content: "hi\n" },
    ],
  };
  await place.images.load(busyboxArchive(place.root, options));
  if (ROOT) await commitUpon(place);
  const saved = `${place.root}/saved.tar`;
  const sink = Bun.file(saved).writer();
  await place.images.save(["busybox"], (bytes) => void sink.write(bytes));
  await sink.end();
  return { place, saved, id: place.images.get("busybox").id };
}

describe.skipIf(missing("skopeo") !== undefined)(title("skopeo"), () => {
  test("reads what is saved, as Docker's archive and as OCI's, with the same digests", async () => {
    const { place, saved, id } = await withBusybox();
    using _ = place;
    const manifest = place.images.manifest(place.images.get("busybox"));
    expect(JSON.parse(run("skopeo", "inspect", `oci-archive:${saved}`)).Digest).toBe(manifest);
    expect(run("skopeo", "inspect", "--config", "--raw", `docker-archive:${saved}:busybox:latest`)).toBe(
      run("skopeo", "inspect", "--config", "--raw", `oci-archive:${saved}`),
    );
    expect(id).toBe(
      `sha256:${new Bun.CryptoHasher("sha256").update(run("skopeo", "inspect", "--config", "--raw", `oci-archive:${saved}`)).digest("hex")}`,
    );
  });

  test("reads the store itself", async () => {
    const { place } = await withBusybox();
    using _ = place;
    const found = JSON.parse(run("skopeo", "inspect", `oci:${place.root}:docker.io/library/busybox:latest`));
    expect(found.Digest).toBe(place.images.manifest(place.images.get("busybox")));
  });

  for (const format of ["oci-archive", "docker-archive"])
    test(`writes a ${format} that is loaded with the same id`, async () => {
      const { place, saved, id } = await withBusybox();
      using _ = place;
      const copy = `${place.root}/copy.tar`;
      run("skopeo", "copy", "--quiet", `docker-archive:${saved}`, `${format}:${copy}:example.com/copied:1`);
      const loaded = await place.images.load(copy);
      expect(loaded.map(loadedText)).toEqual(["Loaded image: example.com/copied:1"]);
      if (format === "docker-archive") expect(loaded[0]?.id).toBe(id);
      expect(place.images.get("example.com/copied:1").config.rootfs).toEqual(
        place.images.get(id).config.rootfs,
      );
    });

  test("writes an OCI archive with zstd layers", async () => {
    const { place, saved } = await withBusybox();
    using _ = place;
    const copy = `${place.root}/copy.tar`;
    run(
      "skopeo",
      "copy",
      "--quiet",
      "--dest-compress-format",
      "zstd",
      `docker-archive:${saved}`,
      `oci:${place.root}/layout:z:1`,
    );
    run("tar", "cf", copy, "-C", `${place.root}/layout`, ".");
    using second = new TestPlace();
    expect((await second.images.load(copy)).map(loadedText)).toEqual(["Loaded image: z:1"]);
  });
});

describe.skipIf(missing("umoci") !== undefined || !ROOT)(title("umoci"), () => {
  test("unpacks the store's image to the same files", async () => {
    const { place } = await withBusybox();
    using _ = place;
    // umoci takes tags without slashes only: a copy of the layout with a plain one.
    const layout = `${place.root}/layout`;
    mkdirSync(layout);
    run("cp", "-r", `${place.root}/blobs`, `${place.root}/oci-layout`, `${place.root}/index.json`, layout);
    run(
      "sed",
      "-i",
      's|"org.opencontainers.image.ref.name": ".*"|"org.opencontainers.image.ref.name": "t"|',
      `${layout}/index.json`,
    );
    run("umoci", "unpack", "--image", `${layout}:t`, `${place.root}/bundle`);
    const root = place.images.root(place.images.get("busybox"));
    const lower = root.kind === "layers" ? root.lower.join(":") : "";
    const list = "find . -mindepth 1 -printf '%y %m %U:%G %s %n %T@ %p %l\\n' | grep -v '^d' | sort";
    const ours = run(
      "unshare",
      "-m",
      "sh",
      "-c",
      `mount -t overlay overlay -o lowerdir=${lower} /mnt && cd /mnt && ${list}`,
    );
    expect(ours.split("\n").length).toBeGreaterThan(100);
    expect(run("sh", "-c", `cd ${place.root}/bundle/rootfs && ${list}`)).toBe(ours);
  });
});

describe.skipIf(missing("podman") !== undefined || !ROOT)(title("podman"), () => {
  test("loads what is saved and saves what is loaded, with the same id", async () => {
    const { place, saved, id } = await withBusybox();
    using _ = place;
    const podman = [
      "podman",
      "--root",
      `${place.root}/podman`,
      "--runroot",
      `${place.root}/podman-run`,
      "--storage-driver",
      "vfs",
    ];
    run(...podman, "load", "-q", "-i", saved);
    expect(run(...podman, "images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}").trim()).toBe(
      `${id} docker.io/library/busybox`,
    );
    for (const format of ["docker-archive", "oci-archive"]) {
      const again = `${place.root}/${format}.tar`;
      run(...podman, "save", "-q", "--format", format, "-o", again, "docker.io/library/busybox");
      using second = new TestPlace();
      const [loaded] = await second.images.load(again);
      expect(familiarName(loaded?.reference ?? "")).toBe("busybox:latest");
      if (format === "docker-archive") expect(loaded?.id).toBe(id);
    }
  });
});
