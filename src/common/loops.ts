/**
 * What every start passes is plain loops: JavaScriptCore compiles `map`, `filter`, `fromEntries` and their like from
 * source when a process first uses them, at about 0.1 ms each, which is as much as everything around them.
 */

/** `list.map(read)`. */
export function mapped<A, B>(list: readonly A[], read: (item: A) => B): B[] {
  const found: B[] = [];
  for (const item of list) found.push(read(item));
  return found;
}

/** Members that may be undefined, without those that are. */
export type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Drops the members that are undefined: an absent one means the default. */
export function given<T extends object>(members: T): Given<T> {
  const kept: Given<T> = {};
  for (const name in members) {
    const value = members[name];
    if (value !== undefined) kept[name] = value as Given<T>[typeof name];
  }
  return kept;
}
