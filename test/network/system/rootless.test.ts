/** A user's container on the network: out to another host, in through a published port, and gone with its keeper. */
import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { REPO } from "../../support/sandbox.ts";

const UID = 23457;
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/**
 * Runs the lines as a user of a host with the address 192.0.2.10, whose neighbour 192.0.2.1 says "far away" on port 7000.
 * All of it is in namespaces of its own.
 */
function onHost(route: boolean, body: string): string[] {
  const folder = mkdtempSync("/tmp/sampan-uplink-");
  folders.push(folder);
  for (const name of ["home", "run"]) mkdirSync(`${folder}/${name}`, { recursive: true });
  for (const name of ["sampan", "sampan-launcher"]) copyFileSync(`${REPO}/dist/${name}`, `${folder}/${name}`);
  writeFileSync(
    `${folder}/main.ts`,
    `import { DEFAULTS, Engine, explain } from ${JSON.stringify(`${REPO}/src/index.ts`)};
     const engine = Engine.open();
     const sh = (script: string) => Bun.spawnSync(["sh", "-c", script]).stdout.toString().trim();
     /** What a server says to who connects, from the first moment at which there is one. */
     const hear = (host: string, port: number): string =>
       sh('until out=$(echo | socat -t 5 - TCP:' + host + ':' + port + ' 2>/dev/null) && [ -n "$out" ]; do sleep 0.02; done; echo $out');
     const carriers = () => sh("pgrep -f '[/](pasta|slirp4netns) --'");
     const run = (command: string[], port?: number) => engine.containers.run(
       { ...DEFAULTS, image: "host", command, ports: port ? [{ protocol: "tcp", target: 80, address: "", first: port, last: port }] : [] },
       { warn: (text) => console.log(text) },
     );
     const server = ["socat", "TCP-LISTEN:80,fork,reuseaddr", "SYSTEM:echo from inside"];
     ${body}
     process.exit(0);`,
  );
  const script = `
    mount --make-rprivate /
    mkdir -p /dev/net && mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200
    ip link set lo up
    unshare -n sh -c 'ip link set lo up; echo; exec socat TCP-LISTEN:7000,fork,reuseaddr SYSTEM:"echo far away"' > ${folder}/far &
    until [ -s ${folder}/far ]; do :; done
    ip link add up0 type veth peer name out0 netns $!
    ip addr add 192.0.2.10/24 dev up0 && ip link set up0 up
    nsenter -t $! -n sh -c 'ip addr add 192.0.2.1/24 dev out0 && ip link set out0 up'
    ${route ? "ip route add default via 192.0.2.1" : ""}
    chown -R ${UID}:${UID} ${folder}
    cd ${folder}
    setpriv --reuid ${UID} --regid ${UID} --clear-groups env HOME=${folder}/home XDG_RUNTIME_DIR=${folder}/run \\
      ${process.execPath} ${folder}/main.ts 2>&1
    rm -f ${folder}/far`;
  const { stdout } = Bun.spawnSync(
    ["unshare", "-n", "-m", "-p", "-f", "--kill-child", "--mount-proc", "sh", "-c", script],
    // What ends with it is all that is in there.
    { stderr: "inherit", timeout: 50_000, killSignal: "SIGKILL" },
  );
  return stdout.toString().trimEnd().split("\n");
}

const BOTH_WAYS = `
  const { container } = await run(server, 8081);
  console.log(hear("127.0.0.1", 8081));
  console.log(hear("[::1]", 8081));
  console.log(sh("./sampan port " + container.name));
  console.log((await explain(engine, container.name)).network.carrier);
  const name = "{{.HostConfig.NetworkMode}} {{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}";
  console.log(sh("./sampan inspect -f '" + name + "' " + container.name + "; ./sampan ps --format '{{.Networks}}'"));
  console.log(hear("192.0.2.10", 8081));
  const { connection } = await engine.containers.run(
    { ...DEFAULTS, image: "host", command: ["sh", "-c",
      'until out=$(echo | socat -t 5 - TCP:192.0.2.1:7000 2>/dev/null | head -1) && [ -n "$out" ]; do sleep 0.05; done; echo $out'] }, { attach: true });
  connection.onOutput = (_, data) => process.stdout.write(data);
  connection.attach(7);
  await connection.exit;
  await engine.containers.stop(container.id, { timeout: 0 });
  console.log(carriers().length);
`;

test("through pasta", () => {
  expect(onHost(true, BOTH_WAYS)).toEqual([
    "from inside",
    "from inside",
    "80/tcp -> 0.0.0.0:8081",
    "80/tcp -> [::]:8081",
    "pasta",
    "pasta pasta",
    "pasta",
    "from inside",
    "far away",
    "0",
  ]);
});

test("through slirp4netns, where there is no default route", () => {
  expect(onHost(false, BOTH_WAYS)).toEqual([
    "from inside",
    "from inside",
    "80/tcp -> 0.0.0.0:8081",
    "80/tcp -> [::]:8081",
    "slirp4netns",
    "slirp4netns slirp4netns",
    "slirp4netns",
    "from inside",
    "far away",
    "0",
  ]);
});

test("a keeper that is killed leaves nobody behind, and one that starts the container again starts the network too", () => {
  const said = onHost(
    true,
    `
    const first = await engine.containers.run(
      { ...DEFAULTS, image: "host", command: server, restart: { name: "always", maximumRetryCount: 0 },
        ports: [{ protocol: "tcp", target: 80, address: "127.0.0.1", first: 8081, last: 8081 }] });
    console.log(hear("127.0.0.1", 8081));
    const before = carriers();
    process.kill(engine.containers.get(first.container.id).state.pid, "SIGKILL");
    while (["", before].includes(carriers())) await Bun.sleep(5);
    console.log(hear("127.0.0.1", 8081));
    process.kill(Number(sh("readlink $XDG_RUNTIME_DIR/sampan/*/pid | cut -d' ' -f1")), "SIGKILL");
    while (carriers() !== "") await Bun.sleep(5);
    const status = () => engine.containers.get(first.container.id).state.status;
    while (status() === "running") await Bun.sleep(5);
    console.log(status());
    `,
  );
  expect(said).toEqual(["from inside", "from inside", "exited"]);
});

test("by IPv6 alone it answers there at once, by TCP and UDP, and again when who carries it was killed", () => {
  const said = onHost(
    true,
    `
    const servers = ["sh", "-c", "socat UDP-LISTEN:8081,fork SYSTEM:'echo by UDP' & exec socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:'echo from inside'"];
    const port = (protocol: "tcp" | "udp", target: number) => ({ protocol, target, address: "::1", first: 8081, last: 8081 });
    await engine.containers.run({ ...DEFAULTS, image: "host", command: servers, ports: [port("tcp", 80), port("udp", 8081)] });
    console.log(hear("[::1]", 8081));
    console.log(sh("until out=$(echo x | socat -t 1 - UDP6:[::1]:8081) && [ -n \\"$out\\" ]; do sleep 0.02; done; echo $out"));
    console.log(sh("echo | socat -t 5 - TCP:192.0.2.10:8081 2>&1 | grep -o 'Connection refused'"));
    const names = sh("pgrep -f 'sampan[ ]names'");
    process.kill(Number(names), "SIGKILL");
    // A process that is ending has no words any more, and may still have its lock.
    sh("flock $XDG_RUNTIME_DIR/sampan/names/lock true");
    sh("./sampan ps");
    console.log(hear("[::1]", 8081));
    await engine.containers.stop(engine.containers.list()[0]!.id, { timeout: 0 });
    while (sh("pgrep -f 'sampan[ ]names'") !== "") await Bun.sleep(5);
    const holder = Bun.listen({ hostname: "::1", port: 8081, socket: { data() {} } });
    await engine.containers.run({ ...DEFAULTS, image: "host", command: servers, ports: [port("tcp", 80)] }).catch((error) => console.log(error.message));
    holder.stop();
    `,
  );
  expect(said).toEqual([
    "from inside",
    "by UDP",
    "Connection refused",
    "from inside",
    "failed to bind host port [::1]:8081/tcp: address already in use",
  ]);
});

test("a port that somebody has, or that is root's, is an error that says so, and the container is not started", () => {
  const said = onHost(
    true,
    `
    Bun.listen({ hostname: "0.0.0.0", port: 8081, socket: { data() {} } });
    for (const port of [8081, 81]) await run(server, port).catch((error) => console.log(error.message));
    console.log(carriers().length);
    `,
  );
  expect(said).toEqual([
    "Bind for 0.0.0.0:8081 failed: port is already allocated",
    "Bind for 0.0.0.0:81 failed: ports below 1024 are root's",
    "0",
  ]);
});
