import { describe, expect, test } from "bun:test";
import { imageTree } from "../../src/docker/image-tree.ts";

const image = (names: readonly string[], used: boolean) => ({
  names,
  id: `sha256:${"ab".repeat(32)}`,
  manifest: `sha256:${"cd".repeat(32)}`,
  unpacked: 7_800_000,
  content: 3_600_000,
  platform: "linux/arm64/v8",
  used,
});
const lines = (text: string): string[] => text.split("\n").map((line) => line.trimEnd());

describe("images --tree", () => {
  test("names one below the other, then what it takes, then its platform", () => {
    expect(lines(imageTree([image(["a:1", "registry.test/b:2"], true), image([], false)]))).toEqual([
      "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.",
      "IMAGE               ID             DISK USAGE   CONTENT SIZE   USED",
      "a:1",
      "registry.test/b:2   abababababab       11.4MB          3.6MB    ✔",
      "└─ linux/arm64/v8   cdcdcdcdcdcd       11.4MB          3.6MB    ✔",
      "",
      "<untagged>          abababababab       11.4MB          3.6MB",
      "└─ linux/arm64/v8   cdcdcdcdcdcd       11.4MB          3.6MB",
      "",
    ]);
  });

  test("on a narrow terminal columns go, and a name that is too long is cut", () => {
    const [, head, row] = lines(imageTree([image(["registry.test/a/long/name:2"], false)], 45));
    expect(head).toBe("IMAGE               ID             DISK USAGE");
    expect(row).toBe("registry.test/...   abababababab       11.4MB");
  });
});
