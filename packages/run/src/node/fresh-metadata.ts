/** What our own commands write into a checkpoint's metadata begins so. */
const OWN = "secateur.";

/**
 * The metadata of a file that is made from another: what others wrote stays, what our commands said of the other file goes,
 * but for the keys that still hold.
 */
export function freshMetadata(
  metadata: Readonly<Record<string, string>>,
  holding: readonly string[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith(OWN) || holding.includes(key)));
}
