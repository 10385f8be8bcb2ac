/** Names without what wrappers of a network put into them. */
import { listOf, quote } from "../text/quote.ts";

/** What a training script's own module calls the network in it; meant only where every name begins with it. */
const OUTER = ["model.", "net.", "network."];

/** A segment that torch adds at whatever place a module is wrapped (DataParallel, torch.compile), which is never the last of a name. */
const WRAPPED = /(?<=^|\.)(?:module|_orig_mod)\./g;

/** The names in the order given, and what was dropped. */
export interface Unwrapped {
  readonly names: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Drops `module.` and `_orig_mod.` wherever they stand in a name, and `model.`, `net.` and `network.` where all names begin
 * with the same one of them, again and again until none is left. The last segment always stays. Where two names would
 * become one, all stay as they are. O(characters), and no name is made anew that stays as it is.
 */
export function dropWrappers(names: readonly string[]): Unwrapped {
  const dropped = new Map<string, number>();
  const bare = names.map((name) => {
    const found = name.match(WRAPPED);
    if (found === null) return name;
    for (const part of new Set(found)) dropped.set(part, (dropped.get(part) ?? 0) + 1);
    return name.replace(WRAPPED, "");
  });
  let start = 0;
  for (;;) {
    const outer = OUTER.find((part) => bare[0]?.startsWith(part, start));
    if (outer === undefined || !bare.every((name) => name.startsWith(outer, start))) break;
    dropped.set(outer, names.length);
    start += outer.length;
  }
  if (dropped.size === 0) return { names, notes: [] };
  const renamed = start === 0 ? bare : bare.map((name) => name.slice(start));
  if (new Set(renamed).size < renamed.length) {
    const found = listOf([...dropped.keys()].map(quote));
    return { names, notes: [`names keep ${found}, since two of them would be the same without`] };
  }
  const parts = [...dropped].map(([part, count]) => {
    return `${quote(part)} from ${count === names.length ? "every name" : `${count} of ${names.length} names`}`;
  });
  return { names: renamed, notes: [`dropped ${parts.join(", ")}`] };
}
