/**
 * Identities of channels: what goes when something goes. Every place along an axis of a tensor has one; places of the same identity can
 * only go together. Union-find (Tarjan 1975) over numbers, with two additions. Identities may be fixed: they stay, and it is known what
 * fixed them. And one may be a product of others, as the places of an axis of heads x width are: it goes where any of its parts does.
 */

/** One axis: an identity for every place; undefined: all places are fixed, as along batch, space and time. */
export type Axis = Int32Array | undefined;

/** The axes of a tensor. */
export type Axes = readonly Axis[];

/** The identity of places that stay whatever goes. */
export const fixedIdentity = 0;

/** All identities of a graph. */
export interface Identities {
  /** New ones, a place each. */
  fresh(count: number): Int32Array;
  /** The identity that goes where any of the parts goes. */
  product(parts: readonly number[]): number;
  /** Makes two identities one. @param why - the operator that asks, for reports on what it fixes */
  unite(a: number, b: number, why: string): void;
  /** The same for every place of two axes of one length. */
  uniteAxes(a: Axis, b: Axis, why: string): void;
  /** Keeps all places of an axis for good. */
  fix(axis: Axis, why: string): void;
  /** The identities, not products, whose going makes a place go: representatives, ascending; none of a fixed place. */
  causesOf(identity: number): readonly number[];
  /** What fixed an identity; undefined where it may go. */
  fixedBy(identity: number): string | undefined;
}

/** No identities but the fixed one. */
export function createIdentities(): Identities {
  const parent: number[] = [fixedIdentity];
  const parts = new Map<number, readonly number[]>();
  const reasons = new Map<number, string>([[fixedIdentity, ""]]);
  const find = (identity: number): number => {
    let root = identity;
    while (parent[root] !== root) root = parent[root]!;
    for (let at = identity; parent[at] !== root; ) {
      const next = parent[at]!;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  const add = (): number => parent.push(parent.length) - 1;
  const fixOne = (identity: number, why: string): void => {
    const root = find(identity);
    if (reasons.has(root)) return;
    reasons.set(root, why);
    for (const part of parts.get(root) ?? []) fixOne(part, why);
  };
  /** `gone` stands for `root` from now on. */
  const link = (gone: number, root: number): void => {
    parent[gone] = root;
  };
  const leavesOf = (identity: number): readonly number[] => {
    const root = find(identity);
    const own = parts.get(root);
    return own ? own.flatMap(leavesOf) : [root];
  };
  const unite = (one: number, other: number, why: string): void => {
    const [a, b] = [find(one), find(other)];
    if (a === b) return;
    const reason = reasons.get(a) ?? reasons.get(b);
    if (reason !== undefined) {
      fixOne(a, reason || why);
      fixOne(b, reason || why);
      return;
    }
    const [ofA, ofB] = [parts.get(a), parts.get(b)];
    if (ofA && ofB && ofA.length === ofB.length) {
      parts.delete(b);
      link(b, a);
      ofA.forEach((part, i) => {
        unite(part, ofB[i]!, why);
      });
    } else if (ofA || ofB) {
      const [product, single] = ofA ? [a, b] : [b, a];
      const leaves = leavesOf(product);
      if ((ofA && ofB) || leaves.includes(find(single))) {
        // It goes where one part does and is the other part: then all parts go together.
        const [first = product] = leaves;
        for (const leaf of [...leaves, ...leavesOf(single)]) unite(first, leaf, why);
      } else link(single, product);
    } else link(Math.max(a, b), Math.min(a, b));
  };
  const causesOf = (identity: number): readonly number[] =>
    [...new Set(leavesOf(identity).map(find))].filter((leaf) => !reasons.has(leaf)).sort((a, b) => a - b);
  const eachOf = (axis: Axis, take: (identity: number) => void): void => {
    if (axis) for (let i = 0; i < axis.length; i++) take(axis[i]!);
  };
  return {
    unite,
    causesOf,
    fresh: (count) => Int32Array.from({ length: count }, add),
    product(given) {
      const own = [...new Set(given)].filter((part) => part !== fixedIdentity);
      if (own.length < 2) return own[0] ?? fixedIdentity;
      const identity = add();
      parts.set(identity, own);
      return identity;
    },
    uniteAxes(a, b, why) {
      if (a && b) for (let i = 0; i < a.length; i++) unite(a[i]!, b[i]!, why);
      else eachOf(a ?? b, (identity) => fixOne(identity, why));
    },
    fix: (axis, why) => eachOf(axis, (identity) => fixOne(identity, why)),
    fixedBy(identity) {
      const leaves = leavesOf(identity);
      const fixed = leaves.map((leaf) => reasons.get(find(leaf)));
      return fixed.every((reason) => reason !== undefined) ? (fixed.find((reason) => reason !== "") ?? "") : undefined;
    },
  };
}
