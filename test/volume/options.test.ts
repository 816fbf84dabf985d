/** What `--mount` asks for, seen from inside: sizes, modes, what is mounted beneath a bind, and which way new mounts go. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";

const box = new Sandbox();
const source = `${box.root}/source`;
beforeAll(() => {
  mkdirSync(`${source}/sub`, { recursive: true });
});
afterAll(() => box[Symbol.asyncDispose]());

/**
 * Runs a script where `source` is a shared tmpfs with another one in `source/sub`, in a mount namespace that nobody else sees.
 * `$RUN` begins a container from the machine's own image.
 */
function there(script: string): string {
  const before = `
    mount -t tmpfs top ${source} && mount --make-rshared ${source}
    mkdir ${source}/sub ${source}/late && mount -t tmpfs beneath ${source}/sub
    echo deep > ${source}/sub/f
    RUN="${SAMPAN} run --rm --network none --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
  `;
  const done = Bun.spawnSync(["unshare", "-m", "--propagation", "private", "sh", "-c", before + script], {
    env: box.env,
    stderr: "pipe",
  });
  return `${done.stdout}${done.stderr}`.trim();
}
const bind = (...more: string[]): string => ["type=bind", `src=${source}`, "dst=/m", ...more].join(",");

describe("--mount type=tmpfs", () => {
  test("tmpfs-size and tmpfs-mode", async () => {
    const mount = "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1750";
    const look = "stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'; head -c 2m /dev/zero > /t/f";
    const { stdout, stderr } = await box.cli("run", "--rm", "--mount", mount, "host", "sh", "-c", look);
    expect(stdout).toBe("1750\n1024\n");
    expect(stderr).toContain("No space left on device");
  });
});

describe("--mount type=bind", () => {
  const touch =
    "touch /m/x 2>/dev/null && echo top; touch /m/sub/x 2>/dev/null && echo beneath; cat /m/sub/f";

  test("what is mounted beneath comes along, and is read-only with it", () => {
    expect(there(`$RUN --mount ${bind()} host sh -c '${touch}'`)).toBe("top\nbeneath\ndeep");
    expect(there(`$RUN --mount ${bind("readonly")} host sh -c '${touch}'`)).toBe("deep");
  });

  test("bind-recursive=disabled leaves it; writable and readonly say what it is below a read-only one", () => {
    expect(there(`$RUN --mount ${bind("bind-recursive=disabled")} host sh -c '${touch}'`)).toStartWith(
      "top\nbeneath\ncat:",
    );
    expect(there(`ls ${source}/sub; $RUN --mount ${bind("bind-recursive=disabled")} host ls -A /m/sub`)).toBe(
      "f",
    );
    expect(there(`$RUN --mount ${bind("readonly", "bind-recursive=writable")} host sh -c '${touch}'`)).toBe(
      "beneath\ndeep",
    );
    const readonly = bind("readonly", "bind-recursive=readonly", "bind-propagation=rprivate");
    expect(there(`$RUN --mount ${readonly} host sh -c '${touch}'`)).toBe("deep");
  });

  /** A mount of the host's while the container runs, and one of the container's: who sees them. */
  const both = (mount: string): string =>
    there(`
      mkfifo ${source}/go ${source}/went
      $RUN --mount ${mount} host sh -c '
        echo > /m/went; cat /m/go > /dev/null
        test -e /m/late/host && echo "inside sees it"
        mkdir -p /m/sub/own && mount -t tmpfs mine /m/sub/own && touch /m/sub/own/container
        echo > /m/went; cat /m/go > /dev/null' &
      cat ${source}/went > /dev/null
      mount -t tmpfs later ${source}/late && touch ${source}/late/host
      echo > ${source}/go; cat ${source}/went > /dev/null
      test -e ${source}/sub/own/container && echo "outside sees it"
      echo > ${source}/go; wait`)
      .split("\n")
      .sort()
      .join("\n");

  test("bind-propagation: rprivate neither way, rslave inwards, rshared both", () => {
    expect(both(bind())).toBe("");
    expect(both(bind("bind-propagation=rslave"))).toBe("inside sees it");
    expect(both(bind("bind-propagation=rshared"))).toBe("inside sees it\noutside sees it");
    // The host's other shared mounts stay when the container leaves its copy of them.
    const kept = `mkdir ${source}/else && mount -t tmpfs else ${source}/else && touch ${source}/else/kept`;
    const beside = there(`${kept}
      $RUN -v ${source}/late:/m:rshared host true; ls ${source}/else ${source}/sub`);
    expect(beside.split("\n")).toEqual([`${source}/else:`, "kept", "", `${source}/sub:`, "f"]);
    // Nothing would come out of the container, and nobody would say so.
    const alone = there(`mount --make-private ${source}; $RUN -v ${source}:/m:rshared host true; echo $?`);
    expect(alone).toBe(
      `125\nsampan: path ${source} is mounted on ${source} but it is not a shared mount\nWhat the container mounts there would not be seen outside. Make it one: mount --make-rshared ${source}`,
    );
    const deaf = there(`mount --make-private ${source}; $RUN -v ${source}:/m:rslave host true; echo $?`);
    expect(deaf).toBe(
      `125\nsampan: path ${source} is mounted on ${source} but it is not a shared or slave mount\nWhat this machine mounts there would not be seen inside. Make it one: mount --make-rshared ${source}`,
    );
    const slave = `mount --bind ${source} /mnt; mount --make-slave ${source}`;
    expect(there(`${slave}; $RUN -v ${source}:/m:rslave host echo in`)).toBe("in");
  });
});

describe("--mount type=volume", () => {
  test("volume-driver, volume-opt and volume-label make the volume that is not there", async () => {
    const mount =
      'type=volume,src=made,dst=/v,volume-driver=local,volume-label=a=b,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,mode=0711"';
    expect(
      await box.ok("run", "--rm", "--mount", mount, "host", "sh", "-c", "stat -fc %T /v; stat -c %a /v"),
    ).toBe("tmpfs\n711");
    expect(await box.ok("volume", "inspect", "-f", "{{json .Labels}} {{json .Options}}", "made")).toBe(
      '{"a":"b"} {"device":"tmpfs","o":"size=1m,mode=0711","type":"tmpfs"}',
    );
    await box.ok("volume", "rm", "made");
  });
});
