import { describe, expect, test } from "bun:test";
import {
  bytesSize,
  ellipsis,
  general,
  humanDuration,
  humanSize,
  humanSize4,
  rfc3339Nano,
  shortId,
} from "../../src/docker/human.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe("times as docker ps shows them", () => {
  test.each([
    [450, "Less than a second"],
    [1 * SECOND, "1 second"],
    [45 * SECOND, "45 seconds"],
    [60 * SECOND, "About a minute"],
    [2 * MINUTE, "2 minutes"],
    [3 * MINUTE + 40 * SECOND, "3 minutes"],
    [59 * MINUTE, "59 minutes"],
    [60 * MINUTE, "About an hour"],
    [89 * MINUTE, "About an hour"],
    [2 * HOUR + 45 * MINUTE, "3 hours"],
    [24 * HOUR, "24 hours"],
    [35 * HOUR, "35 hours"],
    [36 * HOUR, "36 hours"],
    [47 * HOUR, "47 hours"],
    [2 * DAY, "2 days"],
    [7 * DAY, "7 days"],
    [13 * DAY, "13 days"],
    [2 * 7 * DAY, "2 weeks"],
    [4 * 7 * DAY, "4 weeks"],
    [60 * DAY, "2 months"],
    [23 * 30 * DAY, "23 months"],
    [2 * 365 * DAY, "2 years"],
    [24 * 30 * DAY + 2 * 7 * DAY, "2 years"],
    [3 * 365 * DAY + 2 * 30 * DAY, "3 years"],
  ])("%d ms is %j", (ms, text) => expect(humanDuration(ms)).toBe(text));
});

describe("sizes", () => {
  test.each([
    [0, "0B"],
    [999, "999B"],
    [1000, "1kB"],
    [1024, "1.02kB"],
    [1_982_366, "1.98MB"],
    [1_240_000, "1.24MB"],
    [999_900, "1e+03kB"],
    [13_256_000_000, "13.3GB"],
  ])("%d bytes in decimal: %s", (bytes, text) => expect(humanSize(bytes)).toBe(text));

  test("with four digits where Docker has them", () => expect(humanSize4(1_982_366)).toBe("1.982MB"));

  test.each([
    [0, "0B"],
    [340 * 1024, "340KiB"],
    [64 * 1024 ** 2, "64MiB"],
    [25_276_510_208, "23.54GiB"],
    [1023.9 * 1024, "1024KiB"],
  ])("%d bytes in binary: %s", (bytes, text) => expect(bytesSize(bytes)).toBe(text));

  test("Go's %g", () => {
    expect(general(0.00001234, 3)).toBe("1.23e-05");
    expect(general(123456, 3)).toBe("1.23e+05");
    expect(general(12.3, 4)).toBe("12.3");
  });
});

describe("texts that are too long", () => {
  test("end with one sign", () => {
    expect(ellipsis("sh -c 'echo hello world'", 20)).toBe("sh -c 'echo hello w…");
    expect(ellipsis("sleep 1000", 20)).toBe("sleep 1000");
    expect(ellipsis("x".repeat(20), 20)).toBe("x".repeat(20));
  });

  test("are measured in columns, not characters", () =>
    expect(ellipsis("容器容器容器容器容器容器", 9)).toBe("容器容器…"));

  test("ids", () => {
    expect(shortId(`sha256:${"ab".repeat(32)}`)).toBe("abababababab");
    expect(shortId("4fd8c6c1aa6e108b")).toBe("4fd8c6c1aa6e");
  });
});

test("nanoseconds keep all their digits", () => {
  expect(rfc3339Nano(1795487217574889515n)).toMatch(/\.574889515(Z|[+-]\d\d:\d\d)$/);
});
