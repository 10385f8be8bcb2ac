import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { type TreeNode, TreeSum } from "./tree-sum.ts";

/** Leaves whose sum depends on the order in which they are added up. */
function leaves(count: number): readonly Float64Array[] {
  const rng = createRng(count);
  return Array.from({ length: count }, () => Float64Array.of(rng.normal() * 10 ** (12 * rng.next()), rng.normal()));
}

function sumOf(nodes: readonly TreeNode[]): TreeSum {
  const tree = new TreeSum();
  for (const node of nodes) tree.add(node);
  return tree;
}

function leafNodes(all: readonly Float64Array[], from: number, to: number): readonly TreeNode[] {
  return all.slice(from, to).map((sum, i) => ({ level: 0, index: from + i, sum: sum.slice() }));
}

test("any cut into runs gives the bits of the sum over all leaves", () => {
  for (const count of [1, 2, 3, 7, 8, 13, 64, 100]) {
    const all = leaves(count);
    const whole = sumOf(leafNodes(all, 0, count)).total();
    const rng = createRng(7 * count);
    for (let trial = 0; trial < 10; trial++) {
      const borders = [0, ...Array.from({ length: 3 }, () => Math.floor(rng.next() * (count + 1))), count].sort(
        (a, b) => a - b,
      );
      const parts = borders.slice(1).flatMap((to, i) => sumOf(leafNodes(all, borders[i]!, to)).nodes);
      expect(sumOf(parts).total()).toEqual(whole);
    }
  }
});

test("a run of neighbouring leaves is told in a few nodes", () => {
  const { nodes } = sumOf(leafNodes(leaves(1000), 3, 998));
  // One a level on the way up, and one on the way down.
  expect(nodes.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(1000)));
});

test("adding up from the left would give other bits", () => {
  const all = leaves(100);
  const plain = all.reduce((sum, leaf) => sum.map((value, i) => value + leaf[i]!), new Float64Array(2));
  expect(sumOf(leafNodes(all, 0, 100)).total()).not.toEqual(plain);
});
