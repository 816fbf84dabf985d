/**
 * Makes sure that the responder answers before a container can ask. Whoever starts a container has written down where it is
 * by then, so that a responder which looks now stays for it.
 */
import { SampanError } from "../../common/error.ts";
import type { Paths } from "../../common/paths.ts";
import { enginePath } from "../../launch/index.ts";
import { type Posts, postsOf, spawnResponder, standing } from "./posts.ts";
import { LOOK } from "./words.ts";

/** Milliseconds between looks at one that another command is starting, and how long in all. */
const PAUSE = 5;
const PATIENCE = 10_000;

/** Resolves when it serves all of it, or lives and will as soon as there is a bridge that has the address. */
export async function startResponder(paths: Paths, wanted: readonly string[]): Promise<void> {
  const posts = postsOf(paths);
  for (const end = Date.now() + PATIENCE; Date.now() < end; await Bun.sleep(PAUSE)) {
    const found = standing(posts, wanted);
    if (found === "listens") return;
    // One that is about to leave closes the connection without a word; then it is the next one's turn.
    if (found === "lives" ? await refreshed(posts) : await started(paths)) return;
  }
  throw new SampanError("system", `the responder for names (${posts.folder}) does not start`, {
    hint: `See what \`${enginePath()} names ${paths.root} ${paths.run}\` says.`,
  });
}

/** Starts one and leaves it alone. False: another command was quicker. */
async function started(paths: Paths): Promise<boolean> {
  const child = spawnResponder(paths);
  child.unref();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return value !== undefined;
}

function refreshed({ socket }: Posts): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  Bun.connect({
    unix: socket,
    socket: {
      open: (socket) => void socket.write(LOOK),
      data: () => resolve(true),
      close: () => resolve(false),
      error: () => resolve(false),
    },
  }).catch(() => resolve(false));
  return promise;
}
