/**
 * Sums of vectors over the leaves of one fixed binary tree, so that rounding does not depend on who added up what: leaves 2i and 2i + 1 of a level are
 * added to leaf i of the next, and what has no sibling at the end is added from the right to the left. Whoever holds a run of neighbouring leaves gives
 * the few nodes that lie whole within it, and the same sum comes of any cut into runs. Pairwise summation (Higham 1993): its error grows with the
 * logarithm of the number of leaves.
 */

/** A node: the sum over leaves [index 2^level, (index + 1) 2^level). */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
  readonly sum: Float64Array;
}

/** Adds up nodes that are given from the left to the right. */
export class TreeSum {
  readonly #nodes: TreeNode[] = [];

  /** Takes the next node; its array becomes the tree's own. */
  add(node: TreeNode): void {
    let last = node;
    for (let left = this.#nodes.at(-1); left && isSibling(left, last); left = this.#nodes.at(-1)) {
      this.#nodes.pop();
      last = { level: last.level + 1, index: last.index >> 1, sum: plus(left.sum, last.sum) };
    }
    this.#nodes.push(last);
  }

  /** The largest nodes that lie whole within what was given, from the left to the right. */
  get nodes(): readonly TreeNode[] {
    return this.#nodes;
  }

  /** The sum over all leaves, from the first to the last; undefined without any. */
  total(): Float64Array | undefined {
    const sums: Float64Array[] = this.#nodes.map(({ sum }) => sum.slice());
    return sums.length === 0 ? undefined : sums.reduceRight((right, left) => plus(left, right));
  }
}

function isSibling(left: TreeNode, right: TreeNode): boolean {
  return left.level === right.level && left.index % 2 === 0 && right.index === left.index + 1;
}

/** Into the left one. */
function plus(left: Float64Array, right: Float64Array): Float64Array {
  for (let i = 0; i < left.length; i++) left[i] = left[i]! + right[i]!;
  return left;
}
