/** Folders of the host that a container has copy-on-write: `--mount type=bind,…,overlay`. */
import { cleanPath } from "../common/paths.ts";
import { type Context, places } from "./context.ts";
import type { StoredContainer } from "./rows.ts";

export interface Overlay {
  /** In the container. */
  readonly at: string;
  /** On the host: as it was, until somebody applies the changes. */
  readonly folder: string;
  /** The container's own, with `upper` and `work`; made by its first start. */
  readonly own: string;
}

export function overlaysOf({ paths }: Pick<Context, "paths">, container: StoredContainer): Overlay[] {
  const { binds } = places(paths, container.id);
  return (container.mounts ?? []).flatMap(({ overlay, source, target }, index) =>
    overlay ? [{ at: cleanPath(target), folder: source, own: `${binds}/${index}` }] : [],
  );
}
