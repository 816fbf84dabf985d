/**
 * A program on a real pseudo-terminal, its controlling one, driven as a person drives it: type, look, resize. Each test
 * waits for what it expects to see, never for a time.
 */
export interface PtyOptions {
  readonly rows?: number;
  readonly columns?: number;
  readonly env?: Record<string, string | undefined>;
  readonly cwd?: string;
  /** Milliseconds until a wait gives up; default 30,000. */
  readonly patience?: number;
}

export class Pty {
  /** Everything that was seen, carriage returns and escapes included. */
  seen = "";
  readonly #process: Bun.Subprocess;
  readonly #patience: number;
  #from = 0;
  #wake: () => void = () => {};

  constructor(command: readonly string[], options: PtyOptions = {}) {
    const decoder = new TextDecoder();
    this.#patience = options.patience ?? 30_000;
    // Given in place: a Terminal made before would not become the program's controlling one.
    this.#process = Bun.spawn([...command], {
      terminal: {
        rows: options.rows ?? 24,
        cols: options.columns ?? 80,
        data: (_, data) => {
          this.seen += decoder.decode(data, { stream: true });
          this.#wake();
        },
      },
      env: { TERM: "xterm", ...process.env, ...options.env },
      ...(options.cwd ? { cwd: options.cwd } : {}),
    });
    void this.#process.exited.then(() => this.#wake());
  }

  get pid(): number {
    return this.#process.pid;
  }

  type(keys: string): void {
    this.#process.terminal?.write(keys);
  }

  resize(rows: number, columns: number): void {
    this.#process.terminal?.resize(columns, rows);
  }

  /** Waits for a text after what was last waited for; gives what was seen up to its end. */
  async expect(text: string | RegExp): Promise<string> {
    const deadline = Date.now() + this.#patience;
    for (;;) {
      const rest = this.seen.slice(this.#from);
      const at = typeof text === "string" ? rest.indexOf(text) : rest.search(text);
      if (at >= 0) {
        const length = typeof text === "string" ? text.length : (text.exec(rest)?.[0].length ?? 0);
        this.#from += at + length;
        return rest.slice(0, at + length);
      }
      const left = deadline - Date.now();
      if (left <= 0 || this.#process.exitCode !== null)
        throw new Error(
          `${String(text)} was not seen${left <= 0 ? "" : ", the program has ended"}: ${JSON.stringify(rest)}`,
        );
      await this.#change(left);
    }
  }

  /** Resolves with the exit code, 128 and the signal for one that a signal ended. */
  async exited(): Promise<number> {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), this.#patience);
    const code = await this.#process.exited;
    clearTimeout(timer);
    return code;
  }

  /** Sends a signal to the program. */
  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  close(): void {
    this.#process.kill("SIGKILL");
    this.#process.terminal?.close();
  }

  #change(limit: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(limit, 100));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
