/** A folder of /tmp that is gone when the test is over, however that ends. */
import { mkdtempSync, rmSync } from "node:fs";

export class TestFolder {
  readonly path: string;

  constructor(name: string) {
    this.path = mkdtempSync(`/tmp/sampan-${name}-`);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
