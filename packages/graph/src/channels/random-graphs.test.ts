import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { differenceOf, maskedAndCut } from "./channels.test-support.ts";
import { cutGraph } from "./cut-graph.ts";
import { randomGraph } from "./random-graphs.test-support.ts";

test("of random graphs of all kinds of operators the cut one computes what the masked one does", () => {
  let gone = 0;
  for (let seed = 0; seed < 15; seed++) {
    const rng = createRng(`groups ${seed}`);
    const spec = randomGraph(seed);
    const { cut, difference } = maskedAndCut(spec, () => rng.next() < 0.4);
    gone += cut.gone;
    // Sums of products of up to ten layers in f32, in another order.
    expect(difference, `graph ${seed}`).toBeLessThan(1e-4);
    expect(cutGraph({ ...spec, graph: cut.graph }).gone, `graph ${seed}, cut again`).toBe(0);
  }
  expect(gone).toBeGreaterThan(50);
});

test("of random graphs in which weights alone are zero, biases and scales are not, nothing changes", () => {
  let gone = 0;
  for (let seed = 100; seed < 115; seed++) {
    const rng = createRng(`rows ${seed}`);
    const spec = randomGraph(seed);
    // Rows of weights only: their channels become the constants that biases, normalisations and activations make of 0.
    for (const { shape, data } of spec.graph.initializers) {
      const inner = data!.length / shape[0]!;
      if (shape.length !== 4) continue;
      for (let row = 0; row < shape[0]!; row++)
        if (rng.next() < 0.4) data!.fill(0 as never, row * inner, (row + 1) * inner);
    }
    const cut = cutGraph(spec);
    gone += cut.gone;
    expect(differenceOf(spec, cut.graph), `graph ${seed}`).toBeLessThan(1e-4);
  }
  expect(gone).toBeGreaterThan(50);
});
