/** Accuracy on the test images after pruning with `chita`, by number of stages, over several seeds. */

import type { Kernels, PruneResult, RunPlan } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { pruneNetwork } from "@secateur/run";
import { findCurvature } from "@secateur/run/node";
import { chita } from "@secateur/solvers-chita";
import { freshNetwork, quietSession } from "./bench-network.ts";
import { decimals, printTable, showProgress } from "./print.ts";
import { bestPublished, publishedStages } from "./published.ts";
import { deviation, mean } from "./timing.ts";

/** What to measure on. */
export interface AccuracySpec {
  readonly model: string;
  readonly data: DatasetSplits;
  readonly kernels: Kernels;
  readonly sparsities: readonly number[];
  readonly seeds: number;
  readonly hasPublished: boolean;
}

interface Run {
  readonly accuracy: number;
  readonly result: PruneResult;
}

/** Prunes in one stage with the defaults. */
export async function runOneShot(spec: AccuracySpec): Promise<void> {
  const outcomes = await pruneAll(spec, spec.sparsities, { stages: 1 });
  printTable(
    ["sparsity", "accuracy", "sd", "by seed", "best published", "above", ...secondsTitles],
    outcomes.map(({ sparsity, runs }) => {
      const published = spec.hasPublished ? bestPublished(sparsity) : undefined;
      const accuracy = mean(runs.map((run) => run.accuracy));
      return [
        `${sparsity}`,
        ...accuracyCells(runs),
        decimals(published, 2),
        published === undefined ? undefined : decimals(accuracy - published, 2),
        ...secondsCells(runs),
      ];
    }),
  );
}

/** Prunes in the stages of a plan. */
export async function runStages(spec: AccuracySpec & { plan: RunPlan }): Promise<void> {
  const outcomes = await pruneAll(spec, spec.sparsities, spec.plan);
  printTable(
    ["sparsity", "stages", "accuracy", "sd", "by seed", "published", "by", "in s", ...secondsTitles],
    outcomes.map(({ sparsity, runs }) => {
      const published = spec.hasPublished ? publishedStages.get(sparsity) : undefined;
      const { stages, targetStages } = runs[0]!.result.plan;
      return [
        `${sparsity}`,
        `${stages}+${targetStages}`,
        ...accuracyCells(runs),
        decimals(published?.accuracy, 2),
        published?.how,
        published && `${published.seconds}`,
        ...secondsCells(runs),
      ];
    }),
  );
}

const secondsTitles = ["gradients s", "solve s", "total s"];

function accuracyCells(runs: readonly Run[]): readonly (string | undefined)[] {
  const values = runs.map((run) => run.accuracy);
  return [decimals(mean(values), 2), decimals(deviation(values), 2), values.map((value) => value.toFixed(2)).join(" ")];
}

/** Means over the seeds. */
function secondsCells(runs: readonly Run[]): readonly (string | undefined)[] {
  return (["gradientMs", "solveMs", "totalMs"] as const).map((part) =>
    decimals(mean(runs.map(({ result }) => result.timing[part])) / 1000, 2),
  );
}

async function pruneAll(
  spec: AccuracySpec,
  sparsities: readonly number[],
  plan: RunPlan,
): Promise<readonly { sparsity: number; runs: readonly Run[] }[]> {
  const outcomes: { sparsity: number; runs: readonly Run[] }[] = [];
  for (const sparsity of sparsities) {
    const runs: Run[] = [];
    for (let seed = 0; seed < spec.seeds; seed++) {
      showProgress(`pruning to ${sparsity}, seed ${seed}`);
      runs.push(await pruneOnce(spec, { sparsity, plan, seed }));
    }
    outcomes.push({ sparsity, runs });
  }
  return outcomes;
}

async function pruneOnce(
  { model, data, kernels }: AccuracySpec,
  { sparsity, plan, seed }: { sparsity: number; plan: RunPlan; seed: number },
): Promise<Run> {
  const network = await freshNetwork(model);
  const session = quietSession(kernels, seed);
  const job = {
    network,
    solver: chita(),
    sparsity,
    plan,
    train: data.train,
    findCurvature: (name: string) => findCurvature(name, process.cwd()),
    session,
  };
  const { result } = await pruneNetwork(job);
  const { accuracy } = await network.evaluate(data.test, session.context());
  return { accuracy, result };
}
