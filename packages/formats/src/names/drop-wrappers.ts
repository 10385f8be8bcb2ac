/** Names without what wrappers of a network put into them. */
import { listOf, quote } from "../text/quote.ts";

/** Segments that torch adds at whatever place a module is wrapped: DataParallel, and torch.compile. */
const WRAPPERS = new Set(["module", "_orig_mod"]);

/** What a training script's own module calls the network in it; meant only where every name begins with it. */
const OUTER = new Set(["model", "net", "network"]);

/** A name with a segment that may have to go. */
const WRAPPED = new RegExp(`(^|\\.)(${[...WRAPPERS].join("|")})\\.|^(${[...OUTER].join("|")})\\.`);

/** New names by old ones, and what was dropped. */
export interface Unwrapped {
  readonly names: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

/**
 * Drops `module.` and `_orig_mod.` wherever they stand in a name, and `model.`, `net.` and `network.` where all names begin
 * with the same one of them, again and again until none is left. The last segment always stays. Where two names would
 * become one, all stay as they are. O(characters).
 */
export function dropWrappers(names: readonly string[]): Unwrapped {
  // Most files have none: then no name is taken apart, which for a hundred thousand of them takes more memory than their tensors.
  const isWrapped = names.some((name) => WRAPPED.test(name));
  if (!isWrapped) return { names: new Map(names.map((name) => [name, name])), notes: [] };
  const dropped = new Map<string, number>();
  const paths = names.map((name) => {
    const path = name.split(".");
    const kept = path.filter((part, i) => i === path.length - 1 || !WRAPPERS.has(part));
    if (kept.length < path.length) {
      for (const part of new Set(path.slice(0, -1))) {
        if (WRAPPERS.has(part)) dropped.set(part, (dropped.get(part) ?? 0) + 1);
      }
    }
    return kept;
  });
  let start = 0;
  for (;;) {
    const first = paths[0]?.[start];
    const isShared = first !== undefined && OUTER.has(first);
    if (!isShared || !paths.every((path) => path[start] === first && path.length > start + 1)) break;
    dropped.set(first, names.length);
    start++;
  }
  if (dropped.size === 0) return { names: new Map(names.map((name) => [name, name])), notes: [] };
  const renamed = paths.map((path) => path.slice(start).join("."));
  if (new Set(renamed).size < renamed.length) {
    const found = listOf([...dropped.keys()].map((part) => quote(`${part}.`)));
    return {
      names: new Map(names.map((name) => [name, name])),
      notes: [`names keep ${found}, since two of them would be the same without`],
    };
  }
  const parts = [...dropped].map(([part, count]) => {
    return `${quote(`${part}.`)} from ${count === names.length ? "every name" : `${count} of ${names.length} names`}`;
  });
  return { names: new Map(names.map((name, i) => [name, renamed[i]!])), notes: [`dropped ${parts.join(", ")}`] };
}
