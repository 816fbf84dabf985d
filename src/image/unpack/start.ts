/** Starts the process that unpacks a layer: this executable again, or from a checkout Bun with the child's own file. */
import { SampanError } from "../../common/error.ts";
import { ChildPipe } from "../pipe.ts";
import type { UnpackAnswer, UnpackJob } from "./child.ts";

/**
 * For a process that lives for a second: without its last compiler, which takes a third of all its time and pays only
 * later, JavaScriptCore is quicker.
 */
export const SHORT: Readonly<Record<string, string>> = { BUN_JSC_useFTLJIT: "0" };

/**
 * From here on one thing is done many thousand times. The executable holds its compilers back, since most commands do everything
 * but once (scripts/build): what this process does now is worth compiling as usual.
 */
export const busy = (): void => Bun.unsafe.setJITPolicy(1);

/** The built executable knows the hidden command `unpack`; its modules live under /$bunfs/. */
export function unpackCommand(): string[] {
  if (import.meta.path.startsWith("/$bunfs/")) return [process.execPath, "unpack"];
  return [process.execPath, new URL("./child.ts", import.meta.url).pathname];
}

export type Unpacked = Extract<UnpackAnswer, { ok: true }>;

/**
 * Unpacks what `input` (an fd, or a stream) holds. The child inherits `lock`, so that the folder stays locked while it writes, even if
 * the caller is killed. `what` names the archive in an error, such as `layer sha256:…`.
 */
export async function startUnpack(
  job: UnpackJob,
  input: number | AsyncIterable<Uint8Array>,
  lock: number,
  what: string,
  signal?: AbortSignal,
): Promise<Unpacked> {
  const pipe = typeof input === "number" ? undefined : new ChildPipe();
  const child = Bun.spawn([...unpackCommand(), JSON.stringify({ parent: process.pid, ...job })], {
    stdio: [typeof input === "number" ? input : (pipe?.input ?? "ignore"), "pipe", "pipe", lock],
    // Nothing of the caller's surroundings can change what an archive becomes.
    cwd: "/",
    env: SHORT,
    ...(signal && { signal, killSignal: "SIGKILL" as const }),
  });
  pipe?.started();
  const feed = async (stream: AsyncIterable<Uint8Array>): Promise<void> => {
    try {
      for await (const piece of stream) await pipe?.write(piece);
    } catch (error) {
      // A child that has gone says itself why.
      if ((error as { code?: string }).code === "EPIPE") return;
      child.kill("SIGKILL");
      throw error;
    } finally {
      pipe?.end();
    }
  };
  const [output, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
    ...(typeof input === "number" ? [] : [feed(input)]),
  ]);
  let answer: UnpackAnswer;
  try {
    answer = JSON.parse(output) as UnpackAnswer;
  } catch {
    const how = child.signalCode ? `was ended by ${child.signalCode}` : `ended with ${code}`;
    throw new SampanError("system", `${what}: the process that unpacks it ${how}`, {
      ...(complaint && { hint: complaint.trim().slice(-1000) }),
    });
  }
  if (answer.ok) return answer;
  const errno = answer.kernel?.errno;
  const code_ = errno === "ENOSPC" || errno === "EDQUOT" ? "unavailable" : "invalid";
  throw new SampanError(code_, `${what}: ${answer.message}`, {
    ...(answer.hint !== undefined && { hint: answer.hint }),
    ...(answer.kernel && { kernel: answer.kernel }),
  });
}
