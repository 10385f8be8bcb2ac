/**
 * 300 random small networks with data that give pruning trouble: how often a run ends worse than a mask alone, by how much, and
 * what it says. Once with the examples on which losses are compared given to the run as held-out ones, where that must never
 * happen, and once on fresh ones, which the run has not seen.
 * Arguments: [number of networks, default 300] [solver, default all]
 */
import { isPruneError } from "@secateur/core";
import { campaignSolvers, comparison, worseThan } from "../src/never-worse.test-support.ts";
import { randomCase } from "../src/random-networks.test-support.ts";

const count = Number(process.argv[2] ?? 300);
const solvers = process.argv[3] === undefined ? Object.keys(campaignSolvers) : [process.argv[3]];
console.log(
  `${count} networks; worse: more than 1.05 times the loss of magnitude's mask (chita), or of the solver's own mask`,
);
for (const solver of solvers) {
  for (const isGiven of [true, false]) {
    let [worse, worst, broken] = [0, 0, 0];
    const errors = new Map<string, number>();
    for (let index = 0; index < count; index++) {
      const one = await randomCase(index);
      const request = isGiven ? { heldOut: one.heldOut } : {};
      const found = await comparison(one, { solver, request });
      if ("error" in found) {
        const { error } = found;
        const words = `${one.trouble}: ${isPruneError(error) ? `${error.code} ${error.message}` : String(error)}`;
        errors.set(words, (errors.get(words) ?? 0) + 1);
        continue;
      }
      if (!found.isFinite) broken++;
      const ratio = worseThan(found, solver);
      worst = Math.max(worst, ratio);
      if (!(ratio <= 1.05)) worse++;
    }
    const where = isGiven ? "held-out examples given" : "on fresh examples";
    console.log(
      `${solver.padEnd(12)} ${where.padEnd(24)} worse ${worse}, worst ratio ${worst.toPrecision(4)}, not finite ${broken}`,
    );
    for (const [words, times] of errors) console.log(`  ${times} x ${words}`);
  }
}
