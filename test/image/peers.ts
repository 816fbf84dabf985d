/**
 * Images to and from Docker itself: by archives and through a registry, the same bytes on both sides. Not part of the suite, since a
 * dockerd is large: `npm run test:peers` runs it where one is installed.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { Docker, NO_DOCKER } from "../support/docker.ts";
import { busyboxArchive, busyboxMembers, layerTar } from "../support/image.ts";
import { NO_REGISTRY, TestRegistry } from "../support/registry.ts";
import { Sandbox } from "../support/sandbox.ts";

setDefaultTimeout(60_000);

const MISSING = NO_REGISTRY ?? NO_DOCKER;

describe.skipIf(MISSING !== undefined)(`images and Docker${MISSING ? ` (skipped: ${MISSING})` : ""}`, () => {
  let docker: Docker;
  let box: Sandbox;
  let registry: TestRegistry;

  beforeAll(async () => {
    docker = new Docker();
    box = new Sandbox();
    registry = await TestRegistry.start();
    await docker.up();
    // One that sampan made, of two layers, and one that docker made.
    await box.ok("load", "-i", busyboxArchive(box.root));
    await box.ok(
      "run",
      "--name",
      "c",
      "--network",
      "none",
      "busybox",
      "sh",
      "-c",
      "rm /bin/cat; echo new > /new",
    );
    await box.ok("commit", "-c", "LABEL by=sampan", "c", "ours:1");
    await box.ok("rm", "c");
    writeFileSync(`${box.root}/layer.tar`, layerTar(busyboxMembers()));
    docker.ok("import", "-c", 'CMD ["sh"]', `${box.root}/layer.tar`, "theirs:1");
  });
  afterAll(async () => {
    await registry?.stop();
    await box?.[Symbol.asyncDispose]();
    await docker?.[Symbol.asyncDispose]();
  });

  const ourId = (image: string) => box.ok("image", "inspect", "--format", "{{.Id}}", image);
  const ourDigest = async (image: string, repository: string) => {
    const digests = await box.ok("image", "inspect", "--format", '{{join .RepoDigests " "}}', image);
    return digests
      .split(" ")
      .find((each) => each.startsWith(`${repository}@`))
      ?.split("@")[1];
  };
  const layers = "{{json .RootFS.Layers}}";

  test("what is saved docker loads, and what docker saves of it is loaded: the same image", async () => {
    const [there, back] = [`${box.root}/there.tar`, `${box.root}/back.tar`];
    const id = await ourId("ours:1");
    await box.ok("save", "-o", there, "ours:1");
    expect(docker.ok("load", "-i", there)).toContain("Loaded image: ours:1");
    expect(docker.id("ours:1")).toBe(id);
    expect(docker.ok("image", "inspect", "--format", layers, "ours:1")).toBe(
      await box.ok("image", "inspect", "--format", layers, "ours:1"),
    );
    docker.ok("save", "-o", back, "ours:1");
    await box.ok("rmi", "ours:1");
    expect(await box.ok("load", "-i", back)).toBe("Loaded image: ours:1");
    expect(await ourId("ours:1")).toBe(id);
  });

  test("what docker made and saved is loaded, and what is saved of it docker has already", async () => {
    const [there, back] = [`${box.root}/there.tar`, `${box.root}/back.tar`];
    docker.ok("save", "-o", there, "theirs:1");
    expect(await box.ok("load", "-i", there)).toBe("Loaded image: theirs:1");
    expect(await ourId("theirs:1")).toBe(docker.id("theirs:1"));
    expect(await box.ok("run", "--rm", "--network", "none", "theirs:1", "echo", "runs")).toBe("runs");
    await box.ok("save", "-o", back, "theirs:1");
    const id = docker.id("theirs:1");
    docker.ok("rmi", "theirs:1");
    docker.ok("load", "-i", back);
    expect(docker.id("theirs:1")).toBe(id);
    await box.ok("rmi", "theirs:1");
  });

  test("what is pushed docker pulls, by tag and by digest, and pushes again as it was", async () => {
    const repository = `${registry.host}/ours`;
    await box.ok("tag", "ours:1", `${repository}:1`);
    await box.ok("push", "-q", `${repository}:1`);
    docker.ok("pull", "-q", `${repository}:1`);
    const digest = docker.digest(`${repository}:1`, repository);
    expect(docker.id(`${repository}:1`)).toBe(await ourId("ours:1"));
    expect(digest).toBe(await ourDigest("ours:1", repository));
    docker.ok("pull", "-q", `${repository}@${digest}`);
    // Docker writes a manifest of its own kind, of the same config and of layers that it compresses itself.
    docker.ok("tag", `${repository}:1`, `${repository}:again`);
    docker.ok("push", "-q", `${repository}:again`);
    await box.ok("rmi", "-f", `${repository}:1`, "ours:1");
    await box.ok("pull", "-q", `${repository}:again`);
    expect(await ourId(`${repository}:again`)).toBe(docker.id(`${repository}:1`));
  });

  test("what docker pushes is pulled, and pushed elsewhere with the same digest", async () => {
    const [first, second] = [`${registry.host}/theirs`, `${registry.host}/elsewhere`];
    docker.ok("tag", "theirs:1", `${first}:1`);
    docker.ok("push", "-q", `${first}:1`);
    await box.ok("pull", "-q", `${first}:1`);
    expect(await ourId(`${first}:1`)).toBe(docker.id("theirs:1"));
    const digest = docker.digest("theirs:1", first);
    expect(await ourDigest(`${first}:1`, first)).toBe(digest);
    await box.ok("tag", `${first}:1`, `${second}:1`);
    await box.ok("push", "-q", `${second}:1`);
    docker.ok("pull", "-q", `${second}@${digest}`);
    expect(docker.id(`${second}@${digest}`)).toBe(docker.id("theirs:1"));
  });
});
