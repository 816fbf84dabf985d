/**
 * The test command: installs what the tests need where that is possible, runs them all, and ends with one line,
 * `N passed, N failed`. Arguments go to `bun test`: a path or a pattern runs a part.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Debian packages that a test uses, by the program that shows whether one is there. */
const NEEDED: Record<string, string> = {
  "/bin/busybox": "busybox-static",
  "/usr/bin/docker-registry": "docker-registry",
  "/usr/bin/skopeo": "skopeo",
  "/usr/bin/umoci": "umoci",
  "/usr/bin/podman": "podman",
  "/usr/bin/newuidmap": "uidmap",
  "/usr/bin/crun": "crun",
  "/usr/sbin/runc": "runc",
  "/usr/bin/setpriv": "util-linux",
  "/usr/bin/pasta": "passt",
  "/usr/bin/slirp4netns": "slirp4netns",
  "/usr/bin/socat": "socat",
  "/usr/bin/dig": "bind9-dnsutils",
  "/usr/sbin/ip": "iproute2",
  "/usr/sbin/nft": "nftables",
  "/usr/bin/zsh": "zsh",
  "/usr/bin/fish": "fish",
};

/** Set in the process that lives in the suite's own network namespace; for the tests it says which one that is (see test/support/sandbox.ts). */
const INSIDE = "SAMPAN_TEST_NETNS";

const inside = process.env[INSIDE] === "1";
const missing = Object.entries(NEEDED)
  .filter(([program]) => !existsSync(program))
  .map(([, name]) => name);
if (missing.length > 0 && !inside) {
  if (process.getuid?.() !== 0) {
    console.error(`tests need ${missing.join(" ")}: as root, apt-get install ${missing.join(" ")}`);
  } else {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    Bun.spawnSync(["apt-get", "update", "-qq"], { env, stdio: ["ignore", "ignore", "inherit"] });
    const install = Bun.spawnSync(
      ["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing],
      { env, stdio: ["ignore", "ignore", "inherit"] },
    );
    if (!install.success) console.error(`could not install ${missing.join(" ")}`);
  }
}

const args = process.argv.slice(2);
// Other users of a test read what it has written, whatever the caller's umask is; TZ below is fixed for the same reason.
process.umask(0o022);
// What a guest is made of is downloaded and built out here.
if (!inside) (await import("../test/support/guest/prepare.ts")).prepareGuests(args);
// As root the suite has a network namespace of its own: no bridge, rule or packet of a test ever meets the machine's.
if (process.getuid?.() === 0 && !inside) {
  const script = 'ip link set lo up && exec "$0" "$@"';
  const self = Bun.spawn(
    ["unshare", "--net", "sh", "-c", script, process.execPath, import.meta.path, ...args],
    { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, [INSIDE]: "1" } },
  );
  process.exit(await self.exited);
}
// On a shared machine a test that fails once in CI is asked once more; on a developer's, the first answer counts.
const retry = process.env["CI"] === "true" ? ["--retry=1"] : [];
const run = Bun.spawn(
  [
    process.execPath,
    "test",
    "--preload",
    "./test/support/preload.ts",
    "--timeout",
    "60000",
    ...retry,
    ...(args.length > 0 ? args : ["test"]),
  ],
  {
    stdio: ["ignore", "inherit", "pipe"],
    env: { ...process.env, TZ: "UTC", ...(inside ? { [INSIDE]: readlinkSync("/proc/self/ns/net") } : {}) },
  },
);

/**
 * Milliseconds without a word after which a test waits for what will not come: more than any may take. Bun then asks what the test
 * has started to end, but one that waits in a system call for a program that ignores SIGTERM (`unshare --kill-child` does) waits on.
 */
const SILENCE = 200_000;

/** Ends everything that the process has started, and says what that was. */
function endAllOf(pid: number): void {
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    for (const child of readFileSync(`/proc/${pid}/task/${task}/children`, "latin1")
      .split(" ")
      .filter(Boolean))
      try {
        endAllOf(Number(child));
        const words = readFileSync(`/proc/${child}/cmdline`, "latin1").replaceAll("\0", " ");
        console.error(`silent for ${SILENCE / 1000} s: killed ${child}: ${words.slice(0, 300)}`);
        process.kill(Number(child), "SIGKILL");
      } catch {
        // It has ended.
      }
  }
}

/** Ends what is waited for, and after as long again the tests themselves, one of which then turns in a circle. */
function endSilence(): void {
  endAllOf(run.pid);
  watch = setTimeout(() => {
    console.error("silent for as long again: killed the tests");
    run.kill("SIGKILL");
  }, SILENCE);
}

const watched = args.every((arg) => !arg.endsWith(".ts") || arg.endsWith(".test.ts"));
const silent = (): Timer | undefined => (watched ? setTimeout(endSilence, SILENCE) : undefined);
let passed = 0;
let failed = 0;
let skipped = 0;
let tail = "";
const decoder = new TextDecoder();
let watch = silent();
const reader = run.stderr.getReader();
// Somebody whom a test has left behind may have the other end of it too.
void run.exited.then(() => setTimeout(() => reader.cancel(), 10_000).unref());
for (let part = await reader.read(); !part.done; part = await reader.read()) {
  clearTimeout(watch);
  watch = silent();
  process.stderr.write(part.value);
  tail = (tail + decoder.decode(part.value, { stream: true })).slice(-4096);
}
clearTimeout(watch);
const code = await run.exited;
for (const line of tail.split("\n")) {
  const match = /^\s*(\d+) (pass|fail|skip)$/.exec(line);
  if (match?.[2] === "pass") passed = Number(match[1]);
  if (match?.[2] === "fail") failed = Number(match[1]);
  if (match?.[2] === "skip") skipped = Number(match[1]);
}
if (process.env["CI"] === "true" && skipped > 0) {
  console.error(`${skipped} tests were skipped: in CI nothing may be`);
  failed += skipped;
}
if (code !== 0 && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
