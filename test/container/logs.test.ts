/** Log files as keepers and Docker write them, read back. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULTS } from "../../src/container/config.ts";
import { logDetails } from "../../src/container/log-details.ts";
import { type LogQuery, readLog } from "../../src/container/logs.ts";

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sampan-logs-"));
  log = join(folder, "log");
});
afterEach(() => rmSync(folder, { recursive: true }));

const time = (second: number, fraction = "000000001"): string =>
  `2026-11-24T02:25:${String(second).padStart(2, "0")}.${fraction}Z`;
const json = (text: string, second = 0, stream = "stdout"): string =>
  `${JSON.stringify({ log: text, stream, time: time(second) })}\n`;
const nanoseconds = (second: number): string => `${Date.parse(time(second, "000")) / 1000}000000000`;

async function read(query: LogQuery = {}, driver = "json-file", ended?: Promise<unknown>): Promise<string> {
  let text = "";
  for await (const { stream, data } of readLog(log, driver, query, ended))
    text += (stream === "stderr" ? "!" : "") + new TextDecoder().decode(data);
  return text;
}

describe("json-file", () => {
  test("lines come as they were written", async () => {
    writeFileSync(log, json("one\n") + json("two\n", 1, "stderr") + json("three\n", 2));
    expect(await read()).toBe("one\n!two\nthree\n");
    expect(await read({ stderr: false })).toBe("one\nthree\n");
    expect(await read({ stdout: false })).toBe("!two\n");
  });

  test("escapes, empty lines, parts of lines and characters of every length", async () => {
    const texts = ['say "hi"\\\n', "\n", "\t\u0001x\n", "part", " of a line\n", "ä€😀\n", "{}\n", "\\n\n"];
    writeFileSync(log, texts.map((text) => json(text)).join(""));
    expect(await read()).toBe(texts.join(""));
  });

  test("Docker's own escapes and times with fewer decimals are understood", async () => {
    writeFileSync(
      log,
      '{"log":"\\u003cb\\u003e\\r\\n","stream":"stdout","time":"2026-11-24T02:25:01.5Z"}\n' +
        '{"log":"x\\n","stream":"stdout","attrs":{"tag":"t"},"time":"2026-11-24T02:25:02Z"}\n',
    );
    expect(await read()).toBe("<b>\r\nx\n");
    expect(await read({ since: nanoseconds(2) })).toBe("x\n");
    expect(await read({ until: nanoseconds(2), timestamps: true })).toBe(
      "2026-11-24T02:25:01.5Z <b>\r\n2026-11-24T02:25:02Z x\n",
    );
  });

  test("times stand before lines, not before parts of them", async () => {
    writeFileSync(log, json("a", 1) + json("b\n", 2) + json("c\n", 3));
    expect(await read({ timestamps: true })).toBe(`${time(1)} ab\n${time(3)} c\n`);
  });

  test("since and until", async () => {
    writeFileSync(log, [0, 1, 2, 3].map((n) => json(`${n}\n`, n)).join(""));
    expect(await read({ since: nanoseconds(2) })).toBe("2\n3\n");
    expect(await read({ until: nanoseconds(2) })).toBe("0\n1\n");
    expect(await read({ since: nanoseconds(1), until: nanoseconds(3) })).toBe("1\n2\n");
  });

  test("the last lines, over files that were rotated", async () => {
    writeFileSync(`${log}.2`, json("1\n") + json("2\n"));
    writeFileSync(`${log}.1`, json("3\n") + json("4\n"));
    writeFileSync(log, json("5\n"));
    expect(await read()).toBe("1\n2\n3\n4\n5\n");
    for (const [tail, expected] of [
      [0, ""],
      [1, "5\n"],
      [2, "4\n5\n"],
      [4, "2\n3\n4\n5\n"],
      [9, "1\n2\n3\n4\n5\n"],
    ] as const)
      expect(await read({ tail })).toBe(expected);
  });

  test("a line that a crash cut short is left out", async () => {
    writeFileSync(log, `${json("whole\n")}{"log":"hal`);
    expect(await read()).toBe("whole\n");
  });

  test("no log is an empty log", async () => {
    expect(await read()).toBe("");
    expect(await read({ tail: 5 })).toBe("");
  });

  test("a line longer than a block", async () => {
    const long = `${"x".repeat(3_000_000)}\n`;
    writeFileSync(log, json("before\n") + json(long) + json("after\n"));
    expect(await read()).toBe(`before\n${long}after\n`);
  });

  test("twenty megabytes, every one of them", async () => {
    const block = json(`${"x".repeat(99)}\n`).repeat(10_000);
    for (let n = 0; n < 20; n++) appendFileSync(log, block);
    let bytes = 0;
    for await (const { data } of readLog(log, "json-file", {})) bytes += data.length;
    expect(bytes).toBe(20_000_000);
  });
});

describe("local", () => {
  const line = (text: string, kind: string, second = 0): string => `${nanoseconds(second)} ${kind} ${text}\n`;
  test("lines, parts and streams", async () => {
    writeFileSync(log, line("one", "oF") + line("bad", "eF", 1) + line("a", "oP", 2) + line("b", "oF", 3));
    expect(await read({}, "local")).toBe("one\n!bad\nab\n");
    expect(await read({ since: nanoseconds(1), stderr: false }, "local")).toBe("ab\n");
    expect(await read({ until: nanoseconds(0) }, "local")).toBe("one\n");
    expect(await read({ tail: 1, timestamps: true }, "local")).toBe("2026-11-24T02:25:03.000000000Z b\n");
  });
});

describe("following", () => {
  test("what comes is seen, until the end", async () => {
    writeFileSync(log, json("first\n"));
    const { promise, resolve } = Promise.withResolvers<void>();
    const reading = read({ follow: true }, "json-file", promise);
    await Bun.sleep(20);
    appendFileSync(log, json("second\n"));
    await Bun.sleep(20);
    appendFileSync(log, json("last\n"));
    resolve();
    expect(await reading).toBe("first\nsecond\nlast\n");
  });

  test("rotation takes nothing from the reader, however often it happens meanwhile", async () => {
    writeFileSync(log, json("0\n"));
    const { promise, resolve } = Promise.withResolvers<void>();
    const reading = read({ follow: true }, "json-file", promise);
    await Bun.sleep(20);
    for (let n = 1; n <= 2; n++) {
      appendFileSync(log, json(`${n} old\n`));
      if (n === 2) renameSync(`${log}.1`, `${log}.2`);
      renameSync(log, `${log}.1`);
      writeFileSync(log, json(`${n} new\n`));
    }
    resolve();
    expect(await reading).toBe("0\n1 old\n1 new\n2 old\n2 new\n");
  });

  test("a signal ends it", async () => {
    writeFileSync(log, json("first\n"));
    const controller = new AbortController();
    let text = "";
    for await (const { data } of readLog(
      log,
      "json-file",
      { follow: true, signal: controller.signal },
      new Promise(() => {}),
    )) {
      text += new TextDecoder().decode(data);
      setTimeout(() => controller.abort(), 20);
    }
    expect(text).toBe("first\n");
  });
});

describe("details", () => {
  const of = (options: Record<string, string>): string =>
    logDetails({
      config: { ...DEFAULTS, log: { driver: "json-file", options } },
      labels: { a: "1", "com.x": "y z", b: "2" },
      env: ["B=2", "XA=3", "XB=a=b", "BARE"],
    }).toString();

  test("are what the log options name, by name, as in a URL's query", () => {
    expect(of({})).toBe(" ");
    expect(of({ labels: "a,nope", env: "B" })).toBe("B=2,a=1 ");
    expect(of({ "labels-regex": "^com[.]", "env-regex": "^X" })).toBe("XA=3,XB=a%3Db,com.x=y+z ");
  });

  test.each(["json-file", "local"])("stand before lines, after their times: %s", async (driver) => {
    const local = (text: string, second: number, whole = "F"): string =>
      `${nanoseconds(second).slice(0, -1)}1 o${whole} ${text}\n`;
    writeFileSync(
      log,
      driver === "local"
        ? local("a", 1, "P") + local("b", 2) + local("c", 3)
        : json("a", 1) + json("b\n", 2) + json("c\n", 3),
    );
    let text = "";
    for await (const { data } of readLog(log, driver, { timestamps: true }, undefined, Buffer.from("x=y ")))
      text += new TextDecoder().decode(data);
    expect(text).toBe(`${time(1)} x=y ab\n${time(3)} x=y c\n`);
  });
});
