/** Fetching one image with its progress on the screen: what `pull` does, and `run` for an image that is not here. */
import type { Engine } from "../engine.ts";
import type { Pulled } from "../image/index.ts";
import { progressTo } from "./progress.ts";

export interface PullFlags {
  readonly platform?: string | undefined;
  readonly quiet?: boolean | undefined;
  readonly allTags?: boolean | undefined;
}

/** `fd`: where progress goes, stdout for `pull` and stderr for `run`. */
export const pullImage = (
  engine: Engine,
  name: string,
  fd: 1 | 2,
  { platform, quiet, allTags }: PullFlags,
): Promise<Pulled[]> =>
  engine.images.pull(name, {
    ...(platform && { platform }),
    ...(allTags && { allTags }),
    ...(!quiet && { onProgress: progressTo(fd) }),
  });
