import { expect, test } from "vitest";
import { campaignSolvers, comparison, worseThan } from "./never-worse.test-support.ts";
import { randomCase, troubles } from "./random-networks.test-support.ts";

const others = Object.keys(campaignSolvers).filter((name) => name !== "chita");

// The first network of each trouble, with chita and one other solver in turn; `npm run bench -- never-worse` runs all 300 with all.
test.each(troubles.map((trouble, index) => ({ trouble, index, other: others[index % others.length]! })))(
  "a small network with trouble ($trouble) is never worse after chita or $other than a mask alone on the held-out examples",
  async ({ index, other }) => {
    const one = await randomCase(index);
    for (const solver of ["chita", other]) {
      const found = await comparison(one, { solver, request: { heldOut: one.heldOut } });
      if ("error" in found) throw found.error;
      expect(found.isFinite).toBe(true);
      expect(worseThan(found, solver)).toBeLessThanOrEqual(1.05);
    }
  },
);
