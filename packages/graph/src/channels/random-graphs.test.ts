import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { maskedAndCut } from "./channels.test-support.ts";
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
