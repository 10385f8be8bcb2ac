/**
 * 300 random small networks with data that give pruning trouble: how often a run ends worse than a mask alone, by how much, and
 * what it says. Once with the examples on which losses are compared given to the run as held-out ones, where that must never
 * happen, and once on fresh ones, which the run has not seen.
 * Arguments: [number of networks, default 300] [solvers, separated by commas, default all] [index of the first network, default 0]
 */
import { createWasmKernels } from "@secateur/backends-wasm";
import { isPruneError } from "@secateur/core";
import { campaignSolvers, comparison, worseThan } from "../src/never-worse.test-support.ts";
import { type RandomCase, randomCase } from "../src/random-networks.test-support.ts";

/** What is counted of one solver. */
interface Tally {
  worse: number;
  worst: number;
  broken: number;
  readonly troubles: Map<string, number>;
}

const count = Number(process.argv[2] ?? 300);
const solvers = process.argv[3]?.split(",") ?? Object.keys(campaignSolvers);
const first = Number(process.argv[4] ?? 0);
const kernels = await createWasmKernels({ threads: 1 });
const emptyTally = (): Tally => ({ worse: 0, worst: 0, broken: 0, troubles: new Map() });
const tallies = solvers.map((solver) => ({ solver, given: emptyTally(), fresh: emptyTally() }));

async function run(one: RandomCase, spec: { solver: string; isGiven: boolean; tally: Tally }): Promise<void> {
  const { solver, isGiven, tally } = spec;
  const note = (words: string): void => void tally.troubles.set(words, (tally.troubles.get(words) ?? 0) + 1);
  const found = await comparison(one, { solver, request: { kernels, ...(isGiven ? { heldOut: one.heldOut } : {}) } });
  if ("error" in found) {
    const { error } = found;
    note(`${one.trouble}: ${isPruneError(error) ? `${error.code} ${error.message}` : String(error)}`);
    return;
  }
  if (!found.isFinite) tally.broken++;
  const ratio = worseThan(found, solver);
  tally.worst = Math.max(tally.worst, ratio);
  if (ratio <= 1.05) return;
  tally.worse++;
  note(`${one.trouble}: worse`);
}

for (let index = first; index < first + count; index++) {
  const one = await randomCase(index);
  for (const { solver, given, fresh } of tallies) {
    await run(one, { solver, isGiven: true, tally: given });
    await run(one, { solver, isGiven: false, tally: fresh });
  }
}

console.log(
  `${count} networks; worse: more than 1.05 times the loss of magnitude's mask (chita), or of the solver's own mask`,
);
for (const { solver, given, fresh } of tallies) {
  for (const [where, { worse, worst, broken, troubles }] of [
    ["held-out examples given", given],
    ["on fresh examples", fresh],
  ] as const) {
    console.log(
      `${solver.padEnd(12)} ${where.padEnd(24)} worse ${worse}, worst ratio ${worst.toPrecision(4)}, not finite ${broken}`,
    );
    for (const [words, times] of troubles) console.log(`  ${times} x ${words}`);
  }
}
