/** A value that is made when it is first asked for: what only derivatives need costs nothing where there are none. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
