/**
 * `npm run faults [-- --kills 100 --seed 1 --command prune]`: kills prune, retrain, train, compare and sensitivity at random moments
 * and lets them go on; fills the disk, removes the folder, takes away the right to write, lets two runs write at once. After each, what
 * is on disk is whole, messages are one line with a code, and a continued run gives the bytes of an undisturbed one.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { createRng } from "@secateur/core";
import {
  finishedAndResumed,
  fullDisk,
  killAndResume,
  readOnlyPlace,
  referenceOf,
  twoWriters,
  type Verdict,
  vanishedFolder,
} from "./faults/disturb.ts";
import { scenarios } from "./faults/task.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    command: { type: "string", multiple: true },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const chosen = scenarios.filter(({ name }) => values.command?.includes(name) ?? true);
if (!Number.isSafeInteger(kills) || kills < 0 || !Number.isSafeInteger(seed) || chosen.length === 0) {
  process.stderr.write(
    `faults: --kills and --seed take whole numbers, --command one of ${scenarios.map(({ name }) => name).join(", ")}\n`,
  );
  process.exit(2);
}

let broken = 0;
for (const scenario of chosen) {
  const reference = await referenceOf(scenario);
  const tally = async (what: string, times: number, disturb: (index: number) => Promise<Verdict>): Promise<void> => {
    let failed = 0;
    for (let i = 0; i < times; i++) {
      const verdict = await disturb(i);
      if (verdict === undefined) continue;
      failed++;
      process.stdout.write(`  ${scenario.name}, ${what} ${i}: ${verdict}\n`);
    }
    broken += failed;
    process.stdout.write(`${scenario.name}: ${what}, ${times} times, ${failed} broken promises\n`);
  };
  const rng = (what: string, index: number) => createRng(seed).fork(`${scenario.name} ${what} ${index}`);
  await tally("killed", kills, (i) => killAndResume(scenario, reference, rng("kill", i)));
  await tally("finished and resumed", 1, () => finishedAndResumed(scenario, reference));
  await tally("full disk", 1, () => fullDisk(scenario, reference));
  await tally("vanished folder", Math.ceil(kills / 10), (i) => vanishedFolder(scenario, reference, rng("vanish", i)));
  await tally("two writers", Math.ceil(kills / 10), () => twoWriters(scenario, reference));
  await tally("read-only place", 1, () => readOnlyPlace(scenario));
}
process.exitCode = broken === 0 ? 0 : 1;
