/** The commands about images and the disk, as Docker has them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import { busyboxMembers, dockerArchive, layerTar, NO_BUSYBOX, sha256 } from "../support/image.ts";
import { NO_REGISTRY, TestRegistry } from "../support/registry.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";

const layer = (name: string, size: number) => layerTar([{ name, type: "file", content: "x".repeat(size) }]);
const BASE = layer("base", 1000);
const folded = (text: string): string[] =>
  text.split("\n").map((line) => line.trimEnd().replace(/ {2,}/g, " | "));

describe("the disk", () => {
  let box: Sandbox;

  beforeAll(async () => {
    box = new Sandbox();
    const file = `${box.root}/images.tar`;
    writeFileSync(
      file,
      dockerArchive([
        {
          tags: ["one:1", "uno:1"],
          layers: [BASE, layer("one", 200)],
          config: { Labels: { keep: "no" }, Cmd: ["/x"] },
        },
        {
          tags: ["two:1"],
          layers: [BASE, layer("two", 3000)],
          config: { Labels: { keep: "yes" }, Cmd: ["/x"] },
        },
        { tags: [], layers: [layer("none", 10)] },
      ]),
    );
    await box.ok("load", "-i", file);
    await box.ok("create", "--name", "c", "one:1");
  });
  afterAll(async () => {
    await box?.[Symbol.asyncDispose]();
  });

  test("system df: what is there and what of it could go", async () => {
    expect(folded(await box.ok("system", "df"))).toEqual([
      "TYPE | TOTAL | ACTIVE | SIZE | RECLAIMABLE",
      "Images | 3 | 1 | 4.21kB | 4.01kB (95%)",
      "Containers | 1 | 0 | 0B | 0B",
      "Local Volumes | 0 | 0 | 0B | 0B",
      "Build Cache | 0 | 0 | 0B | 0B",
    ]);
    expect(await box.ok("system", "df", "--format", "{{.Type}}={{.Size}}")).toBe(
      "Images=4.21kB\nContainers=0B\nLocal Volumes=0B\nBuild Cache=0B",
    );
    expect(JSON.parse((await box.ok("system", "df", "--format", "json")).split("\n")[0] ?? "")).toEqual({
      Active: "1",
      Reclaimable: "4.01kB (95%)",
      Size: "4.21kB",
      TotalCount: "3",
      Type: "Images",
    });
  });

  test("DOCKER_DEFAULT_PLATFORM is --platform where that is not given, but not of this machine's own root", async () => {
    const env = { DOCKER_DEFAULT_PLATFORM: "linux/s390x" };
    const create = (...words: string[]) => box.cliWith({ env }, "create", "--pull", "never", ...words);
    expect((await create("two:1", "true")).stderr).toStartWith(
      "sampan: image with reference two:1 was found but its platform (linux/amd64) does not match the specified platform (linux/s390x)",
    );
    for (const words of [["--platform", "linux/amd64", "two:1"], ["host"]]) {
      const { code, stdout } = await create(...words, "true");
      expect(code).toBe(0);
      await box.ok("rm", stdout.trim());
    }
  });

  test("rmi and push --platform: only an image that is for it", async () => {
    const wrong =
      "sampan: image with reference two:1 was found but its platform (linux/amd64) does not match the specified platform (linux/s390x)";
    for (const command of [["rmi"], ["rmi", "--force"], ["push"]]) {
      const { code, stderr } = await box.cli(...command, "--platform", "linux/s390x", "two:1");
      expect(stderr.split("\n")[0]).toBe(wrong);
      expect(code).toBe(command[1] === "--force" ? 0 : 1);
    }
    const several = await box.cli("rmi", "--platform", "linux/amd64", "--platform", "linux/s390x", "two:1");
    expect(several.stderr).toContain("multiple platforms are not supported");
    expect(await box.ok("images", "-q", "two:1")).not.toBe("");
    await box.ok("tag", "two:1", "three:1");
    expect(await box.ok("rmi", "--platform", "linux/amd64", "three:1")).toBe("Untagged: three:1");
  });

  test("images -q: an id for each name; a format of one's own says more", async () => {
    const id = (await box.ok("image", "inspect", "-f", "{{.Id}}", "one:1")).slice(7, 19);
    expect(await box.ok("images", "-q", "--filter", "reference=one", "--filter", "reference=uno")).toBe(
      `${id}\n${id}`,
    );
    expect(await box.cli("images", "-q", "--format", "{{.Repository}}", "one:1")).toEqual({
      code: 0,
      stdout: "one\n",
      stderr: "",
    });
    expect(await box.ok("images", "-q", "--format", "table", "one:1")).toBe(id);
  });

  test("image inspect: where the layers lie; what is empty is known to templates", async () => {
    const [image] = JSON.parse(await box.ok("image", "inspect", "one:1")) as [
      { GraphDriver: { Data: { LowerDir: string; UpperDir: string } }; Config: object },
    ];
    const { LowerDir, UpperDir } = image.GraphDriver.Data;
    expect([existsSync(`${UpperDir}/one`), existsSync(`${LowerDir}/base`)]).toEqual([true, true]);
    expect(Object.keys(image)).not.toContain("Variant");
    expect(Object.keys(image.Config)).not.toContain("Healthcheck");
    const asked =
      "{{.Variant}}|{{.OsVersion}}|{{with .Config}}{{.Healthcheck}}|{{.ExposedPorts}}|{{.StopSignal}}|{{.Shell}}{{end}}";
    expect(await box.ok("image", "inspect", "-f", asked, "one:1")).toBe("||<nil>|map[]||[]");
    expect(
      await box.ok("container", "inspect", "-f", "{{.Config.Healthcheck}}{{.Config.StopSignal}}", "c"),
    ).toBe("<nil>");
    expect(await box.ok("image", "inspect", "-f", "{{json .GraphDriver.Data}}", "host")).toBe("null");
  });

  test("history: the last step first, its layer's size; by ids, by template, in numbers", async () => {
    const [id] = (await box.ok("images", "-q", "--no-trunc", "two:1")).split("\n");
    const since = "\\d+ years ago";
    expect((await box.ok("history", "two:1")).split("\n").map((line) => line.trimEnd())).toEqual([
      "IMAGE          CREATED       CREATED BY   SIZE      COMMENT",
      expect.stringMatching(new RegExp(`^${id?.slice(7, 19)}   ${since}   layer 1      3kB$`)),
      expect.stringMatching(new RegExp(`^<missing>      ${since}   layer 0      1kB$`)),
    ]);
    expect(await box.ok("history", "-q", "--no-trunc", "two:1")).toBe(`${id}\n<missing>`);
    expect(await box.ok("history", "-q", "two:1")).toBe(`${id?.slice(7, 19)}\n<missing>`);
    expect(folded(await box.ok("history", "--human=false", "two:1")).slice(0, 2)).toEqual([
      "IMAGE | CREATED AT | CREATED BY | SIZE | COMMENT",
      `${id?.slice(7, 19)} | 2024-01-02T03:04:05Z | layer 1 | 3000`,
    ]);
    expect(
      await box.ok("history", "--format", "{{.ID}} {{.CreatedBy}} {{.Size}}", "image").catch(String),
    ).toContain("No such image: image:latest");
    expect(await box.ok("image", "history", "--format", "{{.CreatedBy}}={{.Size}}", "two:1")).toBe(
      "layer 1=3kB\nlayer 0=1kB",
    );
    expect(JSON.parse((await box.ok("history", "--format", "json", "two:1")).split("\n")[1] ?? "")).toEqual({
      Comment: "",
      CreatedAt: "2024-01-02T03:04:05Z",
      CreatedBy: "layer 0",
      CreatedSince: expect.stringMatching(new RegExp(since)),
      ID: "<missing>",
      Size: "1kB",
    });
  });

  test("images --tree: with the platform that each is for; not together with what says it otherwise", async () => {
    const text = await box.ok("images", "--tree", "one:1");
    expect(text).toMatch(/^one:1 +[0-9a-f]{12} +\S+B +\S+kB +✔ *\n└─ linux\/amd64 +[0-9a-f]{12} /m);
    expect(text).not.toContain("uno:1");
    expect(await box.ok("images", "--tree")).toMatch(
      /^<untagged> +[0-9a-f]{12}[^]*^one:1 +\nuno:1 +[0-9a-f]{12} /m,
    );
    expect((await box.cli("images", "--tree", "--digests")).stderr).toContain(
      "--show-digest is not yet supported with --tree",
    );
  });

  test("load < FILE: from where the file was read so far", async () => {
    const load = async (script: string) => {
      const child = Bun.spawn(["sh", "-c", script, "sh", SAMPAN, `${box.root}/images.tar`, box.root], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      expect(await child.exited).toBe(0);
      return (await new Response(child.stdout).text()).trim().split("\n").sort();
    };
    const all = await load(`"$1" --root "$3" load -i "$2"`);
    expect(all.join()).toContain("Loaded image: two:1");
    expect(await load(`"$1" --root "$3" load < "$2"`)).toEqual(all);
    const later = `(echo first; cat "$2") > "$3/later"; (read first; exec "$1" --root "$3" load) < "$3/later"`;
    expect(await load(later)).toEqual(all);
  });

  test("system df -v: each thing by itself", async () => {
    const text = folded(await box.ok("system", "df", "-v"));
    expect(text[0]).toBe("Images space usage:");
    expect(text[2]).toBe(
      "REPOSITORY | TAG | IMAGE ID | CREATED | SIZE | SHARED SIZE | UNIQUE SIZE | CONTAINERS",
    );
    expect(text.find((line) => line.startsWith("one | 1"))).toMatch(/1\.2kB \| 1kB \| 200B \| 1$/);
    expect(text.find((line) => line.startsWith("two | 1"))).toMatch(/4kB \| 1kB \| 3kB \| 0$/);
    expect(text).toContain("Containers space usage:");
    expect(text).toContain("Local Volumes space usage:");
    // How long ago things were is another matter a moment later.
    const shown = async (format: string): Promise<unknown> =>
      JSON.parse(
        (await box.ok("system", "df", "-v", "--format", format)).replace(
          /"RunningFor":"[^"]*"/g,
          '"RunningFor":""',
        ),
      );
    const all = (await shown("json")) as Record<string, unknown[]>;
    expect(Object.keys(all)).toEqual(["Images", "Containers", "Volumes", "BuildCache"]);
    expect(all["Images"]).toHaveLength(3);
    // A template sees the same.
    expect(await shown("{{json .}}")).toEqual(all);
    const rows = await box.ok("system", "df", "-v", "--format", "{{range .Images}}{{json .}},{{end}}");
    expect(JSON.parse(`[${rows}0]`)).toEqual([...(all["Images"] ?? []), 0]);
    expect(all["Images"]?.find((row) => (row as { Tag: string }).Tag === "<none>")).toMatchObject({
      Repository: "<none>",
      Digest: "",
      SharedSize: "0B",
      UniqueSize: "10B",
    });
    expect(all["Containers"]?.[0]).toMatchObject({ Names: "c", State: "created" });
  });

  test("system prune asks, and a no changes nothing", async () => {
    const asked = await box.cliWith({ stdin: "n\n" }, "system", "prune", "-a", "--filter", "label=keep=no");
    expect(asked).toMatchObject({
      code: 0,
      stdout:
        "WARNING! This will remove:\n" +
        "  - all stopped containers\n" +
        "  - all networks not used by at least one container\n" +
        "  - all images without at least one container associated to them\n\n" +
        "  Items to be pruned will be filtered with:\n" +
        "  - label=keep=no\n\n" +
        "Are you sure you want to continue? [y/N] ",
    });
    expect(await box.cli("system", "prune", "-f", "--filter", "foo=bar")).toMatchObject({
      code: 1,
      stderr: "sampan: invalid filter 'foo'\nThe filters are label, label!, until.\n",
    });
    expect((await box.ok("ps", "-aq")).split("\n")).toHaveLength(1);
  });

  test("prune --filter: until, label and label! choose; --platform must fit", async () => {
    const prune = (...filters: string[]) =>
      box.ok("image", "prune", "-af", ...filters.flatMap((filter) => ["--filter", filter]));
    const nothing = "Total reclaimed space: 0B";
    expect(await prune("until=2020-01-01T00:00:00Z")).toBe(nothing);
    expect(await prune("label=keep=perhaps")).toBe(nothing);
    expect(await prune("label!=keep", "label=keep")).toBe(nothing);
    expect(await prune("label!=keep", "until=1h")).toContain("Deleted Images:\ndeleted: sha256:");
    const other = await box.cli("image", "inspect", "--platform", "linux/s390x", "two:1");
    expect(other.stderr).toMatch(
      /^sampan: image with reference two:1 was found but its platform \(linux\/\w+\) does not match the specified platform \(linux\/s390x\)\nPull it or load an archive of it for that platform, or leave --platform out\.\n$/,
    );
    expect((await box.cli("history", "--platform", "linux/s390x", "two:1")).code).toBe(1);
    expect(
      (await box.cli("save", "--platform", "linux/s390x", "-o", `${box.root}/x.tar`, "two:1")).code,
    ).toBe(1);
  });

  test("system prune -a: containers first, then the images that they used", async () => {
    const id = await box.ok("ps", "-aq", "--no-trunc");
    await box.ok("network", "create", "unused");
    await box.ok("network", "create", "--label", "keep=yes", "kept");
    const text = await box.ok("system", "prune", "-a", "-f", "--filter", "label!=keep=yes");
    expect(text.split("\n")).toEqual([
      "Deleted Containers:",
      id,
      "",
      "Deleted Networks:",
      "unused",
      "",
      "Deleted Images:",
      "untagged: one:1",
      "untagged: uno:1",
      expect.stringMatching(/^deleted: sha256:/),
      expect.stringMatching(/^deleted: sha256:/),
      "",
      expect.stringMatching(/^Total reclaimed space: \d/),
    ]);
    expect(await box.ok("images", "--format", "{{.Repository}}")).toBe("two\nhost");
    await box.ok("network", "rm", "kept");
  });

  test("volumes are among it; system prune --volumes removes those without a name", async () => {
    await box.ok("volume", "create", "named");
    const anonymous = await box.ok("volume", "create");
    const [, , , volumes] = folded(await box.ok("system", "df"));
    expect(volumes).toBe("Local Volumes | 2 | 0 | 0B | 0B");
    expect(folded(await box.ok("system", "df", "-v"))).toContain("named | 0 | 0B");
    const refused = await box.cli("system", "prune", "--volumes", "--filter", "until=1h");
    expect(refused).toMatchObject({
      code: 1,
      stderr: 'ERROR: The "until" filter is not supported with "--volumes"\n',
    });
    const asked = await box.cliWith({ stdin: "n\n" }, "system", "prune", "--volumes");
    expect(asked.stdout).toContain("  - all anonymous volumes not used by at least one container\n");
    expect(await box.ok("system", "prune", "-f", "--volumes", "--filter", "label!=keep")).toContain(
      `Deleted Volumes:\n${anonymous}\n`,
    );
    expect(await box.ok("volume", "ls", "-q")).toBe("named");
    await box.ok("volume", "rm", "named");
  });
});

describe.skipIf(NO_BUSYBOX !== undefined)("what an image's config asks for", () => {
  test("a stop signal that does not exist is TERM, as to Docker; one of the user's own is refused", async () => {
    await using box = new Sandbox();
    const layers = [layerTar(busyboxMembers())];
    const config = { Cmd: ["sleep", "1000"], StopSignal: "SIGNOPE" };
    writeFileSync(`${box.root}/odd.tar`, dockerArchive([{ tags: ["odd:1"], layers, config }]));
    await box.ok("load", "-i", `${box.root}/odd.tar`);
    const alone = ["--init", "--network", "none"];
    await box.ok("run", "-d", "--name", "it", ...alone, "odd:1");
    expect(await box.cli("stop", "it")).toMatchObject({ code: 0, stdout: "it\n" });
    expect(await box.ok("inspect", "-f", "{{.State.ExitCode}}", "it")).toBe("143");
    const asked = await box.cli("create", "--stop-signal", "SIGNOPE", ...alone, "odd:1");
    expect(asked.stderr).toContain("invalid signal: SIGNOPE");
    await box.ok("start", "it");
    expect(await box.cli("stop", "--signal", "NOPE", "it")).toMatchObject({ code: 1 });
    expect(await box.cli("kill", "-s", "KILL", "it")).toMatchObject({ code: 0 });
  });
});

describe.skipIf(NO_BUSYBOX !== undefined)("an image that a container uses", () => {
  test("rmi by id: not while it runs, whoever forces it; when it has ended, by force", async () => {
    await using box = new Sandbox();
    const config = { Cmd: ["sleep", "1000"] };
    const layers = [layerTar(busyboxMembers())];
    writeFileSync(`${box.root}/used.tar`, dockerArchive([{ tags: ["used:1"], layers, config }]));
    await box.ok("load", "-i", `${box.root}/used.tar`);
    const image = await box.ok("images", "-q", "used:1");
    const id = (await box.ok("run", "-d", "--name", "it", "--network", "none", "used:1")).slice(0, 12);
    const refused = `sampan: conflict: unable to delete ${image} (cannot be forced) - image is being used by running container ${id}\n`;
    for (const force of [[], ["-f"]])
      expect(await box.cli("rmi", ...force, image)).toEqual({ code: 1, stdout: "", stderr: refused });
    const ended = box.spawn({}, "wait", "it");
    process.kill(Number(await box.ok("inspect", "-f", "{{.State.Pid}}", "it")), "SIGKILL");
    await ended.exited;
    expect((await box.cli("rmi", image)).stderr).toBe(
      `sampan: conflict: unable to delete ${image} (must be forced) - image is being used by stopped container ${id}\n`,
    );
    expect(await box.ok("rmi", "-f", image)).toMatch(/^Untagged: used:1\nDeleted: sha256:[0-9a-f]{64}$/);
    expect(await box.cli("image", "inspect", image)).toMatchObject({ code: 1 });
    // Its container can still be started, and be committed; the layers go with it.
    await box.ok("start", "it");
    expect(await box.ok("inspect", "-f", "{{.State.Running}} {{.Config.Image}}", "it")).toBe("true used:1");
    await box.ok("commit", "it", "again");
    await box.ok("rmi", "again");
    expect(readdirSync(`${box.root}/layers`)).toHaveLength(1);
    await box.ok("rm", "-f", "it");
    await box.ok("image", "prune", "-f");
    expect(readdirSync(`${box.root}/layers`)).toEqual([]);
  });
});

describe("from one engine to another", () => {
  const one = { tags: ["one:1", "uno:1"], layers: [BASE, layer("one", 200)] };
  const two = { tags: ["two:1", "two:2"], layers: [BASE, layer("two", 3000)] };

  test("several images by stdout or a file, by stdin or a file, compressed or not", async () => {
    await using from = new Sandbox();
    writeFileSync(`${from.root}/images.tar`, dockerArchive([one, two]));
    await from.ok("load", "-i", `${from.root}/images.tar`);
    const ids = await from.ok("image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", "one:1", "two:1");
    const file = `${from.root}/saved.tar`;
    await from.ok("save", "-o", file, "one:1", "two");
    const piped = new Uint8Array(
      await new Response(from.spawn({}, "save", "one:1", "two").stdout).arrayBuffer(),
    );
    expect(Buffer.compare(piped, readFileSync(file))).toBe(0);
    for (const args of [
      ["load", "-i", file],
      ["load", "--input", file, "--quiet"],
      ["image", "load"],
    ])
      for (const packed of args.length > 2
        ? [undefined]
        : [piped, Bun.gzipSync(piped), zstdCompressSync(piped)]) {
        await using to = new Sandbox();
        const { code, stdout, stderr } = await to.cliWith({ stdin: packed ?? "ignore" }, ...args);
        expect({ code, stderr, lines: stdout.split("\n").toSorted() }).toEqual({
          code: 0,
          stderr: "",
          // A name without a tag stands for all of its tags; uno was not asked for.
          lines: ["", "Loaded image: one:1", "Loaded image: two:1", "Loaded image: two:2"],
        });
        expect(await to.ok("image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", "one:1", "two:1")).toBe(
          ids,
        );
      }
  }, 120_000);

  test("tag and rmi: what they say, of names, of ids, of what is not there and of what is used", async () => {
    await using box = new Sandbox();
    writeFileSync(`${box.root}/images.tar`, dockerArchive([one, two]));
    await box.ok("load", "-i", `${box.root}/images.tar`);
    const id = (name: string) => box.ok("image", "inspect", "-f", "{{.Id}}", name);
    const [first, second] = [await id("one:1"), await id("two:1")];
    expect(await box.cli("tag", "one:1", "localhost:5000/x/y:z")).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect(await id("localhost:5000/x/y:z")).toBe(first);
    expect(await box.cli("tag", "nope", "x")).toMatchObject({
      code: 1,
      stderr: "sampan: No such image: nope:latest\n",
    });
    expect((await box.cli("tag", "one:1", "UP")).stderr).toStartWith(
      'sampan: Error parsing reference: "UP" is not a valid repository/tag: invalid reference format: repository name (library/UP) must be lowercase\n',
    );
    expect((await box.cli("tag", "a:b@c", "x")).stderr).toStartWith(
      'sampan: Error parsing reference: "a:b@c" is not a valid repository/tag: invalid reference format\n',
    );
    // An archive that is wrong is named.
    writeFileSync(`${box.root}/wrong.tar`, "no archive at all");
    const wrong = await box.cli("load", "-i", `${box.root}/wrong.tar`);
    expect(wrong).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`sampan: ${box.root}/wrong.tar: `),
    });
    expect(await box.cli("tag", "one:1", "sha256:1")).toMatchObject({
      code: 1,
      stderr:
        "sampan: refusing to create an ambiguous tag using digest algorithm as name\nsha256:1 would be read as the beginning of an image's id.\n",
    });
    expect((await box.cli("tag", "one:1")).stderr).toStartWith("sampan: 'sampan tag' requires 2 arguments\n");
    // One that is not there does not keep the others.
    expect(await box.cli("rmi", "nope", "uno:1", "localhost:5000/x/y:z")).toMatchObject({
      code: 1,
      stdout: "Untagged: uno:1\nUntagged: localhost:5000/x/y:z\n",
      stderr: "sampan: No such image: nope:latest\n",
    });
    expect(await box.cli("rmi", "-f", "nope")).toMatchObject({
      code: 0,
      stderr: "sampan: No such image: nope:latest\n",
    });
    await box.ok("create", "--name", "c", "one:1", "/x");
    const c = (await box.ok("ps", "-aq")).trim();
    expect(await box.cli("image", "rm", "one:1")).toMatchObject({
      code: 1,
      stderr: `sampan: conflict: unable to remove repository reference "one:1" (must force) - container ${c} is using its referenced image ${first.slice(7, 19)}\n`,
    });
    expect(await box.ok("rmi", "-f", "one:1")).toBe(`Untagged: one:1\nDeleted: ${first}`);
    expect(await box.ok("images", "-q", "-f", "dangling=true")).toBe("");
    await box.ok("rm", "c");
    expect(await box.cli("rmi", first.slice(7, 15))).toMatchObject({ code: 1 });
    await box.ok("tag", "two:1", "due:1");
    expect(await box.cli("rmi", second)).toMatchObject({
      code: 1,
      stderr: `sampan: conflict: unable to delete ${second.slice(7, 19)} (must be forced) - image is referenced in multiple repositories\n`,
    });
    expect((await box.ok("rmi", "-f", second)).split("\n").slice(0, 4).toSorted()).toEqual([
      `Deleted: ${second}`,
      "Untagged: due:1",
      "Untagged: two:1",
      "Untagged: two:2",
    ]);
    expect(await box.ok("images", "-q")).toBe((await id("host")).slice(7, 19));
  });

  test("the commands of `image` are those without it", async () => {
    await using box = new Sandbox();
    writeFileSync(`${box.root}/images.tar`, dockerArchive([one, two]));
    await box.ok("image", "load", "-i", `${box.root}/images.tar`);
    const same = async (one: string[], other: string[]) =>
      expect(await box.cli(...one)).toEqual(await box.cli(...other));
    await same(["image", "ls", "--no-trunc"], ["images", "--no-trunc"]);
    await same(["image", "list"], ["images"]);
    await same(["image", "history", "one:1"], ["history", "one:1"]);
    await same(["image", "inspect", "one:1"], ["inspect", "--type", "image", "one:1"]);
    await same(["image", "save", "one:1"], ["save", "one:1"]);
    await same(["image", "rm", "nope"], ["rmi", "nope"]);
    await same(["image", "remove", "nope"], ["rmi", "nope"]);
    await same(["image", "tag", "nope", "x"], ["tag", "nope", "x"]);
    await same(["image", "push", "nope:1"], ["push", "nope:1"]);
    await same(["image", "pull", "UP"], ["pull", "UP"]);
    await same(["image", "import", "/nope"], ["import", "/nope"]);
  });
});

test.skipIf(NO_BUSYBOX !== undefined)("an image for another machine: create and run say so", async () => {
  await using box = new Sandbox();
  const [mine, other] = process.arch === "x64" ? ["amd64", "arm64"] : ["arm64", "amd64"];
  const root = layerTar(busyboxMembers());
  await box.cliWith({ stdin: root }, "import", "--platform", `linux/${other}`, "-", "other:1");
  const warning = `WARNING: The image's platform (linux/${other}) is not this machine's (linux/${mine}), and no --platform asked for it.\n`;
  const rest = ["--network", "none", "--name", "c", "other:1", "echo", "hi"];
  expect(await box.cli("run", "--rm", ...rest)).toEqual({ code: 0, stdout: "hi\n", stderr: warning });
  expect((await box.cli("run", "--rm", "--platform", `linux/${other}`, ...rest)).stderr).toBe("");
  expect((await box.cli("create", ...rest)).stderr).toBe(warning);
});

test.skipIf(NO_BUSYBOX !== undefined)("128 layers: a container of them runs, and is committed", async () => {
  await using box = new Sandbox();
  const layers = [
    layerTar(busyboxMembers()),
    ...Array.from({ length: 127 }, (_, i) => layer(`f${i}`, i + 1)),
  ];
  writeFileSync(`${box.root}/deep.tar`, dockerArchive([{ tags: ["deep:1"], layers }]));
  await box.ok("load", "-i", `${box.root}/deep.tar`);
  const run = (name: string, image: string, script: string) =>
    box.ok("run", "--name", name, "--network", "none", image, "sh", "-c", script);
  const wanted = "cd /; ls -d f* | wc -l; cat f0 f126 | wc -c";
  expect(await run("c", "deep:1", `${wanted}; rm f0; echo new > f1`)).toBe("127\n128");
  expect(await box.ok("diff", "c")).toBe("D /f0\nC /f1");
  await box.ok("commit", "c", "deeper:1");
  expect(await run("d", "deeper:1", "cd /; ls -d f* | wc -l; cat f1")).toBe("126\nnew");
});

test("what cannot be written says where it was to go", async () => {
  await using box = new Sandbox();
  writeFileSync(`${box.root}/image.tar`, dockerArchive([{ tags: ["a:1"], layers: [layer("f", 10_000)] }]));
  await box.ok("load", "-i", `${box.root}/image.tar`);
  await box.ok("create", "--name", "c", "a:1", "/x");
  const to = async (...args: string[]) => {
    const script = '"$0" "$@" > /dev/full';
    const child = Bun.spawn(["sh", "-c", script, SAMPAN, ...args], { env: box.env, stderr: "pipe" });
    return { stderr: await new Response(child.stderr).text(), code: await child.exited };
  };
  const full = { code: 1, stderr: "sampan: cannot write standard output: no space left on device\n" };
  for (const args of [["save", "a:1"], ["export", "c"], ["cp", "c:/f", "-"], ["images"], ["history", "a:1"]])
    expect({ args, ...(await to(...args)) }).toEqual({ args, ...full });
  expect(await box.cli("save", "-o", "/dev/full", "a:1")).toEqual({
    code: 1,
    stdout: "",
    stderr: "sampan: cannot write /dev/full: no space left on device\n",
  });
  expect((await box.cli("save", "-o", box.root, "a:1")).stderr).toBe(
    `sampan: cannot write ${box.root}: is a directory\n`,
  );
});

describe.skipIf(NO_REGISTRY !== undefined)("a registry's names and manifests", () => {
  let registry: TestRegistry;
  let box: Sandbox;
  let name = "";

  beforeAll(async () => {
    registry = await TestRegistry.start();
    box = new Sandbox();
    name = `${registry.host}/a/one`;
    const file = `${box.root}/image.tar`;
    writeFileSync(file, dockerArchive([{ tags: [`${name}:1`], layers: [BASE] }]));
    await box.ok("load", "-i", file);
    await box.ok("push", "-q", `${name}:1`);
  });
  afterAll(async () => {
    await registry?.stop();
    await box?.[Symbol.asyncDispose]();
  });

  const raw = async (reference: string): Promise<{ text: string; type: string }> => {
    const answer = await fetch(`http://${registry.host}/v2/a/one/manifests/${reference}`, {
      headers: {
        accept: "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json",
      },
    });
    return { text: await answer.text(), type: answer.headers.get("content-type") ?? "" };
  };

  test("manifest inspect: the content, laid out", async () => {
    const { text } = await raw("1");
    expect(await box.ok("manifest", "inspect", `${name}:1`)).toBe(
      JSON.stringify(JSON.parse(text), null, "\t"),
    );
    expect(await box.cli("manifest", "inspect", `${name}:2`)).toMatchObject({
      code: 1,
      stderr: `sampan: no such manifest: ${name}:2\n`,
    });
  });

  test("manifest inspect -v: with its bytes and its platform; of an index its members", async () => {
    const { text, type } = await raw("1");
    const one = JSON.parse(await box.ok("manifest", "inspect", "-v", `${name}:1`)) as Record<string, unknown>;
    const platform = { architecture: process.arch === "x64" ? "amd64" : process.arch, os: "linux" };
    const descriptor = { mediaType: type, digest: sha256(text), size: text.length };
    expect(one).toEqual({
      Ref: `${name}:1`,
      Descriptor: { ...descriptor, platform },
      Raw: Buffer.from(text).toString("base64"),
      OCIManifest: JSON.parse(text),
    });
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [{ ...descriptor, platform: { architecture: "arm64", os: "linux", variant: "v8" } }],
    });
    const pushed = await fetch(`http://${registry.host}/v2/a/one/manifests/all`, {
      method: "PUT",
      headers: { "content-type": "application/vnd.oci.image.index.v1+json" },
      body: index,
    });
    expect(pushed.status).toBe(201);
    expect(await box.ok("manifest", "inspect", `${name}:all`)).toBe(
      JSON.stringify(JSON.parse(index), null, 3),
    );
    expect(JSON.parse(await box.ok("manifest", "inspect", "--verbose", `${name}:all`))).toEqual([
      {
        Ref: `${name}:all@${sha256(text)}`,
        Descriptor: { ...descriptor, platform: { architecture: "arm64", os: "linux", variant: "v8" } },
        Raw: Buffer.from(text).toString("base64"),
        OCIManifest: JSON.parse(text),
      },
    ]);
  });

  test("manifest inspect LIST MANIFEST: lists are not made here", async () => {
    expect(await box.cli("manifest", "inspect", "a/list:1", "b")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^sampan: No such manifest: docker\.io\/library\/b:latest\n.*registry/),
    });
    expect((await box.cli("manifest", "inspect", "A", "b")).stderr).toStartWith(
      "sampan: invalid reference format: repository name (library/A) must be lowercase\n",
    );
  });

  test("search: Docker Hub's answer as rows", async () => {
    const asked: string[] = [];
    using hub = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        const url = new URL(request.url);
        if (url.pathname !== "/v1/search") return new Response("", { status: 200 });
        asked.push(url.search);
        return Response.json({
          num_results: 3,
          results: [
            {
              name: "jq",
              description: "Command-line JSON processor, a very long description that goes on and\n on",
              star_count: 12,
              is_official: true,
              is_automated: false,
            },
            { name: "me/jq", description: "", star_count: 3, is_official: false, is_automated: true },
            { name: "you/jq", description: "<b>", star_count: 0, is_official: false, is_automated: false },
          ],
        });
      },
    });
    const term = `127.0.0.1:${hub.port}/jq`;
    expect(folded(await box.ok("search", term))).toEqual([
      "NAME | DESCRIPTION | STARS | OFFICIAL",
      "jq | Command-line JSON processor, a very long des… | 12 | [OK]",
      "me/jq | 3",
      "you/jq | <b> | 0",
    ]);
    expect(asked).toEqual(["?q=jq&n=25"]);
    const names = async (...flags: string[]) =>
      (await box.ok("search", "--format", "{{.Name}}", ...flags, term)).split("\n");
    expect(await names("--filter", "stars=3")).toEqual(["jq", "me/jq"]);
    expect(await names("--filter", "is-official=true")).toEqual(["jq"]);
    expect(await names("--filter", "is-automated=true")).toEqual(["me/jq"]);
    expect(await names("--limit", "5")).toHaveLength(3);
    expect(asked.at(-1)).toBe("?q=jq&n=5");
    expect(await box.ok("search", "--no-trunc", "--filter", "stars=12", "--format", "json", term)).toBe(
      '{"Description":"Command-line JSON processor, a very long description that goes on and  on","IsOfficial":"true","Name":"jq","StarCount":"12"}',
    );
    expect((await box.cli("search", "--limit", "200", term)).stderr).toBe(
      "sampan: limit 200 is outside the range of [1, 100]\n",
    );
    expect((await box.cli("search", "--filter", "stars=many", term)).stderr).toBe(
      "sampan: invalid filter 'stars=many'\nIt takes a number.\n",
    );
  });

  test("search: a registry that cannot", async () => {
    expect(await box.cli("search", `${registry.host}/jq`)).toMatchObject({
      code: 1,
      stderr:
        `sampan: ${registry.host} cannot be searched: it does not answer /v1/search\n` +
        "Docker Hub can be searched; most other registries can only be asked for names that one knows.\n",
    });
  });

  test("images: a row for each tag, and for an image of which only the digest is known", async () => {
    const digest = sha256((await raw("1")).text);
    await box.ok("rmi", "-f", `${name}:1`);
    await box.ok("pull", "-q", `${name}@${digest}`);
    const rows = async (...flags: string[]) => folded(await box.ok("images", ...flags))[1] ?? "";
    expect(await rows()).toMatch(new RegExp(`^${name} \\| <none> \\| [0-9a-f]{12} `));
    expect(await rows("--digests")).toMatch(new RegExp(`^${name} \\| <none> \\| ${digest} \\| `));
    await box.ok("tag", `${name}@${digest}`, `${name}:again`);
    expect(await rows("--digests")).toMatch(new RegExp(`^${name} \\| again \\| ${digest} \\| `));
    expect(await rows("--filter", `reference=${registry.host}/*/one`)).toMatch(/again/);
    expect(folded(await box.ok("images", "--filter", "reference=other"))).toHaveLength(1);
    expect(await box.ok("images", "--format", "{{.Digest}}", name)).toBe(digest);
  });
});

test("events say what became of images: where they came from, their names, their end", async () => {
  await using box = new Sandbox();
  const archive = `${box.root}/events.tar`;
  const root = `${box.root}/root.tar`;
  writeFileSync(archive, dockerArchive([{ tags: ["one:1"], layers: [BASE], config: { Cmd: ["/x"] } }]));
  writeFileSync(root, BASE);
  await box.ok("load", "-i", archive);
  const one = await box.ok("image", "inspect", "-f", "{{.Id}}", "one:1");
  await box.ok("tag", "one:1", "example.test/two");
  const two = await box.ok("import", root, "mine");
  await box.ok("rmi", "one:1");
  await box.ok("image", "prune", "-af");
  const told = await box.ok(
    "events",
    "--since",
    "0",
    "--until",
    String(Date.now() / 1000 + 1),
    "--filter",
    "type=image",
    "--format",
    "{{.Action}} {{.ID}} {{.Actor.Attributes.name}}",
  );
  const deleted = [one, two].map((id) => `delete ${id} ${id}`).sort();
  const lines = told.split("\n");
  expect(lines.slice(0, 4)).toEqual([
    `load ${one} ${one}`,
    `tag ${one} example.test/two:latest`,
    `import ${two} ${two}`,
    `untag ${one} ${one}`,
  ]);
  expect(lines.slice(4).sort()).toEqual(deleted);
});
