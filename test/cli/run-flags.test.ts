/** The flags of `run` and `create` → the configuration that was asked for; the texts are those of docker CLI 28. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseFlags } from "../../src/cli/flags.ts";
import { configure } from "../../src/cli/run/config.ts";
import { CONTAINER_FLAGS } from "../../src/cli/run/flags.ts";

const folder = mkdtempSync(join(tmpdir(), "flags-"));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...words: string[]) => {
  const { flags, args } = parseFlags(CONTAINER_FLAGS, words, false);
  return configure(flags, args);
};
/** One string, split at blanks, with an image after it. */
const asked = (line: string) => run(...line.split(" ").filter(Boolean), "image", "true");

describe("what was asked for", () => {
  test("nothing but an image: stdout and stderr, the image's command", () => {
    const config = run("alpine");
    expect(config).toMatchObject({
      image: "alpine",
      attach: ["stdout", "stderr"],
      openStdin: false,
      env: [],
    });
    expect(config.command).toBeUndefined();
    expect(config.entrypoint).toBeUndefined();
  });

  test("-it opens stdin, which ends with its first client", () =>
    expect(asked("-it")).toMatchObject({
      tty: true,
      openStdin: true,
      stdinOnce: true,
      attach: ["stdin", "stdout", "stderr"],
    }));

  test("-a names the streams", () => {
    expect(asked("-a stdout").attach).toEqual(["stdout"]);
    expect(asked("-i -a STDERR")).toMatchObject({
      attach: ["stdin", "stderr"],
      stdinOnce: true,
      openStdin: true,
    });
  });

  test("what follows the image belongs to the program", () =>
    expect(run("--rm", "alpine", "ls", "--rm", "-l").command).toEqual(["ls", "--rm", "-l"]));

  test("an empty entrypoint is none", () => {
    expect(run("--entrypoint", "", "a").entrypoint).toEqual([]);
    expect(asked("--entrypoint /x").entrypoint).toEqual(["/x"]);
  });

  test("limits", () =>
    expect(
      asked(
        "-m 64m --memory-swap -1 --cpus 1.5 --cpuset-cpus 0 --pids-limit -1 -c 512 --device-read-bps /dev/sda:1mb",
      ).resources,
    ).toEqual({
      memory: 64 * 1024 ** 2,
      memorySwap: -1,
      nanoCpus: 1_500_000_000,
      cpusetCpus: "0",
      pidsLimit: -1,
      cpuShares: 512,
      deviceReadBps: [{ path: "/dev/sda", rate: 1024 ** 2 }],
    }));

  test("namespaces", () => {
    expect(asked("--pid host --network none --ipc container:x --uts host").namespaces).toEqual({
      pid: { mode: "host" },
      net: { mode: "none" },
      ipc: { mode: "container", container: "x" },
      uts: { mode: "host" },
    });
    expect(asked("--namespaces mnt,pid").exactly).toEqual(["mnt", "pid"]);
  });

  test("networks, in the short form and in the long one", () => {
    expect(asked("").networks).toEqual([]);
    expect(
      asked("--network one --network-alias a --network-alias b --ip 10.0.0.5 --ip6 fd00:0::5 --link x:y")
        .networks,
    ).toEqual([{ network: "one", aliases: ["a", "b"], ipv4: "10.0.0.5", ipv6: "fd00::5", links: ["x:y"] }]);
    expect(
      asked("--network name=one,alias=a,alias=b,ip=10.0.0.5,gw-priority=7 --network two").networks,
    ).toEqual([
      { network: "one", aliases: ["a", "b"], ipv4: "10.0.0.5", gatewayPriority: 7 },
      { network: "two" },
    ]);
    expect(asked("--mac-address 92-D0-C6-0a-29-33").networks).toEqual([
      { network: "bridge", mac: "92:d0:c6:0a:29:33" },
    ]);
  });

  test("ports, in all their forms", () => {
    const ports = (line: string) =>
      asked(line).ports.map(({ address, first, last, target, protocol }) =>
        [address, first === last ? first : `${first}-${last}`, target, protocol].join(" "),
      );
    expect(ports("-p 80")).toEqual([" 0 80 tcp"]);
    expect(ports("-p 0:80")).toEqual([" 0 80 tcp"]);
    expect(ports("-p 8080:80")).toEqual([" 8080 80 tcp"]);
    expect(ports("-p 8080:80/udp")).toEqual([" 8080 80 udp"]);
    expect(ports("-p 127.0.0.1:8080:80/sctp")).toEqual(["127.0.0.1 8080 80 sctp"]);
    expect(ports("-p 127.0.0.1::80")).toEqual(["127.0.0.1 0 80 tcp"]);
    expect(ports("-p [::1]:8080:80")).toEqual(["::1 8080 80 tcp"]);
    expect(ports("-p ::1:8080:80")).toEqual(["::1 8080 80 tcp"]);
    expect(ports("-p 8000-8001:80-81")).toEqual([" 8000 80 tcp", " 8001 81 tcp"]);
    expect(ports("-p 8000-8010:80")).toEqual([" 8000-8010 80 tcp"]);
    expect(ports("-p 80-81")).toEqual([" 0 80 tcp", " 0 81 tcp"]);
    expect(ports("-p published=8080,target=80,protocol=udp")).toEqual([" 8080 80 udp"]);
  });

  test("--rootfs takes the place of the image", () => {
    expect(run("--rootfs", "/some/dir:O", "sh", "-c", "x")).toMatchObject({
      image: "",
      rootfs: { path: "/some/dir", copyOnWrite: true },
      command: ["sh", "-c", "x"],
    });
    expect(run("--rootfs", "dir").rootfs).toEqual({ path: `${process.cwd()}/dir`, copyOnWrite: false });
  });

  test("devices", () =>
    expect(
      asked("--device /dev/null --device /dev/null:/x --device /dev/null:r --device /dev/null:/x:rw").devices,
    ).toEqual([
      { host: "/dev/null", container: "/dev/null", permissions: "rwm" },
      { host: "/dev/null", container: "/x", permissions: "rwm" },
      { host: "/dev/null", container: "/dev/null", permissions: "r" },
      { host: "/dev/null", container: "/x", permissions: "rw" },
    ]));

  test("ulimits, restart, times, health", () =>
    expect(
      asked(
        "--ulimit nofile=1:2 --ulimit core=-1 --restart on-failure:3 --stop-timeout 3 --timeout 5 --health-cmd true --health-interval 1s",
      ),
    ).toMatchObject({
      ulimits: [
        { name: "nofile", soft: 1, hard: 2 },
        { name: "core", soft: -1, hard: -1 },
      ],
      restart: { name: "on-failure", maximumRetryCount: 3 },
      stopTimeout: 3000,
      timeout: 5000,
      healthcheck: { test: ["CMD-SHELL", "true"], interval: 1000 },
    }));

  test("--expose: each port by itself, once", () =>
    expect(asked("--expose 80 --expose 80-81/tcp --expose 53/udp").expose).toEqual([
      "80/tcp",
      "81/tcp",
      "53/udp",
    ]));

  test("security options in both spellings", () => {
    writeFileSync(join(folder, "profile.json"), '{ "defaultAction": "SCMP_ACT_ALLOW" }');
    expect(
      asked(
        `--security-opt no-new-privileges --security-opt label:disable --security-opt seccomp=${folder}/profile.json`,
      ).security,
    ).toEqual({
      noNewPrivileges: true,
      label: ["disable"],
      seccomp: '{"defaultAction":"SCMP_ACT_ALLOW"}',
    });
  });
});

describe("mounts", () => {
  test("-v: folders, volumes, anonymous volumes", () =>
    expect(asked("-v /a:/b:ro,rslave -v data:/c:nocopy -v /d -v ./x:/e").mounts).toEqual([
      {
        type: "bind",
        source: "/a",
        target: "/b",
        short: true,
        createSource: true,
        readonly: true,
        propagation: "rslave",
      },
      { type: "volume", source: "data", target: "/c", short: true, noCopy: true },
      { type: "volume", source: "", target: "/d", short: true },
      { type: "bind", source: `${process.cwd()}/x`, target: "/e", short: true, createSource: true },
    ]));

  test("-v: z and Z are whose label its files get", () => {
    expect(asked("-v /a:/b:z -v data:/c:ro,Z").mounts).toMatchObject([
      { source: "/a", relabel: "shared" },
      { source: "data", readonly: true, relabel: "private" },
    ]);
    expect(() => asked("-v /a:/b:z,Z")).toThrow("invalid mode: z,Z");
  });

  test("-v: a path with .. means what it leads to", () =>
    expect(asked("-v /a/../b:/x").mounts[0]?.source).toBe("/b"));

  test("--mount of a volume: its driver, options, labels and a part of it", () =>
    expect(
      asked(
        "--mount type=volume,src=data,dst=/d,volume-driver=local,volume-opt=type=tmpfs,volume-opt=o=size=1m,volume-label=a=b,volume-subpath=x,volume-nocopy",
      ).mounts,
    ).toEqual([
      {
        type: "volume",
        source: "data",
        target: "/d",
        driver: "local",
        driverOptions: { type: "tmpfs", o: "size=1m" },
        labels: { a: "b" },
        subpath: "x",
        noCopy: true,
      },
    ]));

  test("--mount: fields of CSV", () => {
    expect(run("--mount", 'type=bind,"src=/a,b",dst=/c,ro,bind-propagation=rshared', "i").mounts).toEqual([
      { type: "bind", source: "/a,b", target: "/c", readonly: true, propagation: "rshared" },
    ]);
    expect(asked("--mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777").mounts).toEqual([
      { type: "tmpfs", source: "", target: "/t", tmpfsSize: 1024 ** 2, tmpfsMode: 0o1777 },
    ]);
  });

  test("match-user takes the caller's ids with it", () =>
    expect(asked("--mount type=bind,src=/a,dst=/b,bind-idmap=match-user").mounts[0]).toMatchObject({
      idmap: "match-user",
      owner: { uid: process.getuid?.(), gid: process.getgid?.() },
    }));

  test("--tmpfs keeps its options", () =>
    expect(asked("--tmpfs /t:size=1m,noexec --tmpfs /u").mounts).toEqual([
      { type: "tmpfs", source: "", target: "/t", tmpfsOptions: ["size=1m", "noexec"] },
      { type: "tmpfs", source: "", target: "/u", tmpfsOptions: [] },
    ]));

  test("--tmpfs twice at one place: the last counts", () =>
    expect(asked("--tmpfs /t:size=1m --tmpfs /t").mounts).toEqual([
      { type: "tmpfs", source: "", target: "/t", tmpfsOptions: [] },
    ]));
});

describe("environment and label files", () => {
  test("comments, blanks, names alone; flags come after files", () => {
    const file = join(folder, "env");
    writeFileSync(file, "\uFEFFA=1\n# c\n\n  B=a b \nHOME\nNO_SUCH_VARIABLE_HERE\nC='q'\n");
    expect(asked(`-e A=2 --env-file ${file} -e HOME`).env).toEqual([
      "A=1",
      "B=a b ",
      `HOME=${process.env["HOME"]}`,
      "C='q'",
      "A=2",
      `HOME=${process.env["HOME"]}`,
    ]);
    expect(asked(`--label-file ${file} -l A=2 -l x`).labels).toMatchObject({ A: "2", HOME: "", x: "" });
    expect(JSON.stringify(asked("-l __proto__=a -l constructor=b").labels)).toBe(
      '{"__proto__":"a","constructor":"b"}',
    );
  });

  test.each([
    ["D E=1", "variable 'D E' contains whitespaces"],
    ["=x", "no variable name on line '=x'"],
  ])("%j is refused", (line, message) => {
    const file = join(folder, "bad");
    writeFileSync(file, line);
    expect(() => asked(`--env-file ${file}`)).toThrow(`invalid env file (${file}): ${message}`);
  });

  test("a line that is no UTF-8 is told by its number", () => {
    const file = join(folder, "bytes");
    writeFileSync(file, new Uint8Array([0x41, 0x3d, 0x31, 0x0a, 0x0a, 0xff, 0x3d, 0x31]));
    expect(() => asked(`--env-file ${file}`)).toThrow(
      `invalid env file (${file}): invalid utf8 bytes at line 3`,
    );
  });
});

describe("what is refused, and how", () => {
  const invalid = (value: string, flag: string, reason: string) =>
    `invalid argument "${value}" for "${flag}" flag: ${reason}`;
  test.each([
    ["-v /a:/b:rz", "invalid mode: rz"],
    ["-v /a:/b:ro,rw", "invalid mode: ro,rw"],
    [
      "-v /a:/b:nocopy",
      `invalid volume specification: '/a:/b:nocopy': invalid mount config for type "bind": field VolumeOptions must not be specified`,
    ],
    [
      "-v data:/b:rshared",
      `invalid volume specification: 'data:/b:rshared': invalid mount config for type "volume": field BindOptions must not be specified`,
    ],
    [
      "--mount type=volume,src=data,dst=/b,overlay",
      invalid(
        "type=volume,src=data,dst=/b,overlay",
        "--mount",
        "cannot mix 'overlay' with mount type 'volume'",
      ),
    ],
    ["--mount type=image,dst=/b", invalid("type=image,dst=/b", "--mount", "source is required")],
    ["-v /a:/b:/c:d", "invalid spec: /a:/b:/c:d: too many colons"],
    ["-v :/b", "invalid spec: :/b: empty section between colons"],
    ["--mount foo", invalid("foo", "--mount", "invalid field 'foo' must be a key=value pair")],
    ["--mount type=bind", invalid("type=bind", "--mount", "target is required")],
    [
      "--mount type=bind,src=/a,dst=/b,foo=bar",
      invalid("type=bind,src=/a,dst=/b,foo=bar", "--mount", "unexpected key 'foo' in 'foo=bar'"),
    ],
    [
      "--mount type=bind,src=/a,dst=/b,readonly=x",
      invalid("type=bind,src=/a,dst=/b,readonly=x", "--mount", "invalid value for readonly: x"),
    ],
    [
      "--mount type=tmpfs,dst=/b,tmpfs-size=x",
      invalid("type=tmpfs,dst=/b,tmpfs-size=x", "--mount", "invalid value for tmpfs-size: x"),
    ],
    [
      "--mount type=bind,src=/a,dst=/b,bind-recursive=foo",
      invalid(
        "type=bind,src=/a,dst=/b,bind-recursive=foo",
        "--mount",
        'invalid value for bind-recursive: foo (must be \\"enabled\\", \\"disabled\\", \\"writable\\", or \\"readonly\\")',
      ).replaceAll("\\", ""),
    ],
    [
      "--mount type=bind,src=/a,dst=/b,bind-recursive=readonly",
      invalid(
        "type=bind,src=/a,dst=/b,bind-recursive=readonly",
        "--mount",
        "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
      ),
    ],
    [
      "--mount type=bind,src=/tmp,dst=/b,tmpfs-size=1",
      invalid(
        "type=bind,src=/tmp,dst=/b,tmpfs-size=1",
        "--mount",
        "cannot mix 'tmpfs-*' options with mount type 'bind'",
      ),
    ],
    ["--tmpfs x", "invalid mount path: 'x' mount path must be absolute"],
    ["--ulimit nofile", invalid("nofile", "--ulimit", "invalid ulimit argument: nofile")],
    ["--ulimit foo=1", invalid("foo=1", "--ulimit", "invalid ulimit type: foo")],
    [
      "--ulimit nofile=2:1",
      invalid("nofile=2:1", "--ulimit", "ulimit soft limit must be less than or equal to hard limit: 2 > 1"),
    ],
    [
      "--ulimit nofile=1:2:3",
      invalid(
        "nofile=1:2:3",
        "--ulimit",
        "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`",
      ),
    ],
    ["--restart on-failure:x", "invalid restart policy format: maximum retry count must be an integer"],
    ["--restart always --rm", "conflicting options: cannot specify both --restart and --rm"],
    ["--pid x", "--pid: invalid PID mode"],
    ["--uts x", "--uts: invalid UTS mode"],
    ["--userns x", "--userns: invalid USER mode"],
    ["--cgroupns x", "--cgroupns: invalid CGROUP mode"],
    ["--ipc container:", "--ipc: invalid IPC mode"],
    [
      "--network host --network one",
      "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    ],
    ["--network name=one,ip=10.0.0.300", "invalid IPv4 address: 10.0.0.300"],
    ["--network name=one,what=1", "invalid field key what"],
    ["--network alias=one", "network name/id is not specified"],
    [
      "--network name=one,alias=a --network-alias b",
      "conflicting options: cannot specify both --network-alias and per-network alias",
    ],
    ["--ip 10.0.0", "invalid IPv4 address: 10.0.0"],
    ["--ip6 10.0.0.1", "invalid IPv6 address: 10.0.0.1"],
    ["--link-local-ip 169.254.1", "invalid link-local IP address: 169.254.1"],
    ["--network host --ip 10.0.0.5", "user specified IP address is supported on user defined networks only"],
    [
      "--network none --network-alias x",
      "network-scoped aliases are only supported for user-defined networks",
    ],
    [
      "--network container:one --mac-address 02:00:00:00:00:01",
      "conflicting options: mac-address and the network mode",
    ],
    [
      "--network host --link one",
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    ],
    ["--mac-address 1:2", "1:2 is not a valid mac address"],
    [
      "--network container:one -p 80",
      "conflicting options: port publishing and the container type network mode",
    ],
    [
      "--namespaces mnt,foo",
      "'foo' is no namespace: it takes a list of mnt, pid, net, ipc, uts, user, cgroup and time",
    ],
    ["-p 80:0", "invalid containerPort: 0"],
    ["-p 80:65536", "invalid containerPort: 65536"],
    ["-p 65536:80", "invalid hostPort: 65536"],
    ["-p 80:80/icmp", "invalid proto: icmp"],
    ["-p 8000-8002:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8000-8002"],
    ["-p 300.0.0.1:80:80", "invalid IP address: 300.0.0.1"],
    ["-p 80:", "no port specified: 80:<empty>"],
    ["--device a", "a is not an absolute path"],
    ["--device /dev/null:q", "q is not an absolute path"],
    ["--device /dev/null:/x:q", "bad mode specified: q"],
    ["--device /dev/null:/x:rw:z", "bad format for path: /dev/null:/x:rw:z"],
    ["--device-cgroup-rule x", invalid("x", "--device-cgroup-rule", "invalid device cgroup format 'x'")],
    ["--link a:b:c", invalid("a:b:c", "--link", "bad format for links: a:b:c")],
    ["--blkio-weight-device x", invalid("x", "--blkio-weight-device", "bad format: x")],
    ["--blkio-weight-device x:9", invalid("x:9", "--blkio-weight-device", "bad format for device path: x:9")],
    [
      "--blkio-weight-device /dev/x:9",
      invalid("/dev/x:9", "--blkio-weight-device", "invalid weight for device: /dev/x:9"),
    ],
    ["--device-read-bps x", invalid("x", "--device-read-bps", "bad format: x")],
    ["--device-read-bps a:1", invalid("a:1", "--device-read-bps", "bad format for device path: a:1")],
    [
      "--device-read-bps /dev/x:y",
      invalid(
        "/dev/x:y",
        "--device-read-bps",
        "invalid rate for device: /dev/x:y. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb",
      ),
    ],
    [
      "--device-write-iops /dev/x:1m",
      invalid(
        "/dev/x:1m",
        "--device-write-iops",
        "invalid rate for device: /dev/x:1m. The correct format is <device-path>:<number>. Number must be a positive integer",
      ),
    ],
    ["--security-opt x", 'Invalid --security-opt: "x"'],
    ["--security-opt x=y", 'invalid --security-opt: "x=y"'],
    [
      "--security-opt seccomp=/no/such",
      "opening seccomp profile (/no/such) failed: open /no/such: no such file or directory",
    ],
    ["--security-opt seccomp=/", "opening seccomp profile (/) failed: open /: is a directory"],
    ["--health-cmd x --no-healthcheck", "--no-healthcheck conflicts with --health-* options"],
    ["--health-retries -1", "--health-retries cannot be negative"],
    ["--health-interval -1s", "--health-interval cannot be negative"],
    ["--memory -1", invalid("-1", "-m, --memory", "invalid size: '-1'")],
    ["--memory-swappiness 200", "invalid value: 200. Valid memory swappiness range is 0-100"],
    ["--sysctl foo=bar", invalid("foo=bar", "--sysctl", "sysctl 'foo=bar' is not allowed")],
    ["--env =x", invalid("=x", "-e, --env", "invalid environment variable: =x")],
    ["--label =x", invalid("=x", "-l, --label", "invalid label '=x': empty name")],
    ["--env-file /", "open /: is a directory"],
    ["--env-file /no/such", "open /no/such: no such file or directory"],
    ["--pull x", `invalid pull option: 'x': must be one of "always", "missing" or "never"`],
    ["--add-host x", 'bad format for add-host: "x"'],
    ["--add-host a:x", 'invalid IP address in add-host: "x"'],
    ["--dns x", invalid("x", "--dns", "IP address is not correctly formatted: x")],
    ["--dns-search x?", invalid("x?", "--dns-search", "x? is not a valid domain")],
    ["-a foo", invalid("foo", "-a, --attach", "valid streams are STDIN, STDOUT and STDERR")],
    [
      "--gpus all",
      invalid("all", "--gpus", "GPUs are not set up by name yet; --device gives single device nodes"),
    ],
    ["--runtime runc", invalid("runc", "--runtime", "sampan is the only runtime here")],
    ["--expose 80:90", "invalid port format for --expose: 80:90"],
    ["--expose 9-8", "invalid range format for --expose: 9-8, error: invalid range specified for port: 9-8"],
    [
      "--expose x",
      'invalid range format for --expose: x, error: strconv.ParseUint: parsing "x": invalid syntax',
    ],
    [
      "--expose 65536",
      'invalid range format for --expose: 65536, error: strconv.ParseUint: parsing "65536": value out of range',
    ],
    ["--expose=", "invalid range format for --expose: , error: empty string specified for ports"],
    ["--timeout 0", invalid("0", "--timeout", "it takes a time above zero, such as 30s")],
  ])("%s", (line, message) => expect(() => asked(line)).toThrow(message));
});
