/** Run as a user who is not root: what its containers are like, as one JSON object. */
import { callerIdMaps, killAll, type Root } from "../../../src/runtime/index.ts";
import { World } from "../support.ts";

const world = new World();
const rootless = callerIdMaps();
const own = ["mnt", "net", "uts", "pid", "ipc", "cgroup", "user"] as const;
const input = { rootless };
const layers = (): Root => ({ ...world.layers(), userxattr: true }) as Root;
const attempt = async (work: () => Promise<string>): Promise<string> =>
  work().catch((error: Error) => error.message);

const found: Record<string, unknown> = { maps: rootless };
found["basic"] = await attempt(() =>
  world.sh(
    "id -u; touch /made; stat -c %u /made; echo x > /dev/null && echo null; head -c 1 /dev/zero | wc -c; mount -t tmpfs x /tmp 2>/dev/null || echo no mount; ping -c1 127.0.0.1 >/dev/null && echo loopback",
    {
      namespaces: own,
      input,
      root: layers(),
    },
  ),
);
found["hostNetwork"] = await attempt(() =>
  world.sh("ls /sys/class/net | grep -c .; touch /sys/x 2>/dev/null || echo read-only", {
    namespaces: own.filter((name) => name !== "net"),
    input,
    root: layers(),
  }),
);
found["user"] = await attempt(() =>
  world.sh("id", {
    namespaces: own,
    input,
    root: layers(),
    process: { user: { uid: 5, gid: 5, additionalGids: [5, 6] } },
  }),
);
found["limit"] = await attempt(() =>
  world.sh("true", {
    namespaces: own,
    input,
    root: layers(),
    linux: { resources: { memory: { limit: 1 << 26 } } },
  }),
);
found["terminal"] = await attempt(() =>
  world.sh("tty", { namespaces: own, input, root: layers(), process: { terminal: true } }),
);
const running = await world.start(["sleep", "20"], { namespaces: own, input, root: layers() });
found["exec"] = (
  await world.exec(running, ["sh", "-c", "id -u; hostname"], {
    namespaces: own,
    denySetgroups: rootless.denySetgroups ?? false,
  })
).stdout;
process.kill(running.connection.report?.pid ?? 0, "SIGKILL");
await running.done;
await killAll(world.host, running.cgroup, 100).catch(() => false);
// Overlay's own folder in `work` has no permissions, and this user no way around them.
Bun.spawnSync(["chmod", "-R", "u+rwX", world.path]);
world.clean();
console.log(JSON.stringify(found));
