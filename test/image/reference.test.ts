import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  checkDigest,
  familiarName,
  parseReference,
  referenceText,
  withTag,
} from "../../src/image/reference.ts";

const HEX = "a".repeat(64);
const full = (text: string): string => referenceText(withTag(parseReference(text)));

describe("a name gets Docker's defaults", () => {
  const cases: Record<string, string> = {
    busybox: "docker.io/library/busybox:latest",
    "busybox:1.36": "docker.io/library/busybox:1.36",
    "user/app": "docker.io/user/app:latest",
    "docker.io/busybox": "docker.io/library/busybox:latest",
    "index.docker.io/busybox": "docker.io/library/busybox:latest",
    "docker.io/library/host": "docker.io/library/host:latest",
    "localhost/x": "localhost/x:latest",
    "localhost:5000/x:v1": "localhost:5000/x:v1",
    "ghcr.io/a/b/c": "ghcr.io/a/b/c:latest",
    "registry:5000/x": "registry:5000/x:latest",
    "Registry/x": "Registry/x:latest",
    "[::1]:5000/x": "[::1]:5000/x:latest",
    [`busybox@sha256:${HEX}`]: `docker.io/library/busybox@sha256:${HEX}`,
    [`busybox:1@sha256:${HEX}`]: `docker.io/library/busybox:1@sha256:${HEX}`,
    "a__b/c.d-e--f": "docker.io/a__b/c.d-e--f:latest",
  };
  for (const [text, expected] of Object.entries(cases)) test(text, () => expect(full(text)).toBe(expected));
});

describe("what is no name is refused with Docker's text", () => {
  const cases: Record<string, string> = {
    "": "invalid reference format",
    "a b": "invalid reference format",
    ":latest": "invalid reference format",
    "busybox:": "invalid reference format",
    "busybox:-x": "invalid reference format",
    [`busybox:${"x".repeat(129)}`]: "invalid reference format",
    "a//b": "invalid reference format",
    "a..b": "invalid reference format",
    "-a": "invalid reference format",
    "https://x/y": "invalid reference format",
    "busybox@sha256:abc": "invalid reference format",
    [`busybox@sha256:${"a".repeat(40)}`]: "invalid checksum digest length",
    [`busybox@md5:${"a".repeat(32)}`]: "unsupported digest algorithm",
    Foo: "invalid reference format: repository name (library/Foo) must be lowercase",
    "user/Foo:x": "invalid reference format: repository name (user/Foo) must be lowercase",
    [HEX]: `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`,
    [`x/${"a".repeat(255)}`]: "repository name must not be more than 255 characters",
  };
  for (const [text, message] of Object.entries(cases))
    test(JSON.stringify(text.slice(0, 60)), () => expect(() => parseReference(text)).toThrow(message));
});

describe("familiar names", () => {
  const cases: Record<string, string> = {
    "docker.io/library/busybox:latest": "busybox:latest",
    "docker.io/user/app:1": "user/app:1",
    "docker.io/library/a/b:1": "library/a/b:1",
    "localhost:5000/library/x:1": "localhost:5000/library/x:1",
    [`docker.io/library/busybox@sha256:${HEX}`]: `busybox@sha256:${HEX}`,
  };
  for (const [text, expected] of Object.entries(cases))
    test(text, () => expect(familiarName(text)).toBe(expected));
});

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const component = fc
  .tuple(word, fc.array(fc.tuple(fc.constantFrom(".", "_", "__", "-", "---"), word), { maxLength: 2 }))
  .map(([first, more]) => first + more.map(([separator, next]) => separator + next).join(""));
const domain = fc.constantFrom(
  "",
  "localhost/",
  "docker.io/",
  "ghcr.io/",
  "h:1/",
  "[2001:db8::1]:80/",
  "a-b.c/",
);
const name = fc
  .tuple(
    domain,
    fc.array(component, { minLength: 1, maxLength: 4 }),
    fc.option(fc.stringMatching(/^[\w][\w.-]{0,20}$/)),
    fc.option(fc.stringMatching(/^[a-f0-9]{64}$/)),
  )
  // Without a host, a first word with a dot would be one.
  .filter(([domain, path]) => domain !== "" || path.length === 1 || !path[0]?.includes("."))
  .filter(([, path]) => path.join("/") !== "" && !/^[a-f0-9]{64}$/.test(path.join("/")))
  .map(
    ([domain, path, tag, digest]) =>
      `${domain}${path.join("/")}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@sha256:${digest}`}`,
  );

test("normalising is idempotent, and the familiar form means the same", () => {
  fc.assert(
    fc.property(name, (text) => {
      const once = full(text);
      expect(full(once)).toBe(once);
      expect(full(familiarName(once))).toBe(once);
    }),
  );
});

test("any text is parsed or refused, and what is parsed stays what it is", () => {
  const text = fc.oneof(
    fc.string(),
    fc
      .array(fc.constantFrom(..."aA0./:@-_[]", "sha256:", "docker.io", "localhost"), { maxLength: 12 })
      .map((x) => x.join("")),
  );
  fc.assert(
    fc.property(text, (text) => {
      let parsed: string;
      try {
        parsed = referenceText(parseReference(text));
      } catch {
        return;
      }
      expect(referenceText(parseReference(parsed))).toBe(parsed);
    }),
  );
});

test("a digest that could become a path of its own is none", () => {
  for (const digest of [
    `sha256:${"/".repeat(64)}`,
    "sha256:../../x",
    `sha256:${"A".repeat(64)}`,
    "sha256",
    ":",
    "",
  ])
    expect(() => checkDigest(digest)).toThrow();
});
