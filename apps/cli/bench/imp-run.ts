/** One run of pruning and retraining on a network of the benchmark. */

import type { Kernels, RoundReport } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { Network } from "@secateur/nn";
import { poseTask, pruneNetwork } from "@secateur/run";
import {
  completeSettings,
  findCurvature,
  findEntry,
  findSolver,
  makeSchedule,
  type OpenedModel,
  openModel,
  type RetrainSettings,
  readRecord,
  retrainNetwork,
} from "@secateur/run/node";
import { quietSession } from "./bench-network.ts";

/** What all runs share. */
export interface BenchSetting {
  readonly kernels: Kernels;
  readonly data: DatasetSplits;
}

/** What one run gave. */
export interface BenchRun {
  /** Test accuracy right after the last pruning and at the end, in percent. */
  readonly pruned: number;
  readonly accuracy: number;
  readonly rounds: readonly RoundReport[];
}

/** A fresh copy of a checkpoint. */
export async function fresh(path: string): Promise<OpenedModel> {
  return await openModel({ path, arch: undefined, onEvent: () => {} });
}

/** The solver of that name with its default options. */
async function solverOf(name: string) {
  const { entry } = await findSolver(name, process.cwd());
  return entry.create({} as never);
}

/** Prunes a network and retrains it. */
export async function pruneAndRetrain(
  spec: BenchSetting & {
    model: Pick<OpenedModel, "network" | "metadata"> & { readonly architecture: { readonly name: string } };
    solver: string;
    sparsity: number;
    settings: RetrainSettings;
    seed: number;
  },
): Promise<BenchRun> {
  const { model, data, kernels, sparsity, seed } = spec;
  const { network } = model;
  const session = quietSession(kernels, seed);
  const settings = completeSettings({ settings: spec.settings, record: readRecord(model.metadata), sparsity });
  const { entry } = await findEntry({ name: settings.schedule, from: process.cwd(), kinds: ["schedule"] });
  const { result } = await retrainNetwork({
    schedule: await makeSchedule(entry, settings),
    network,
    trained: network,
    posed: await poseTask({ network, data, named: undefined, session }),
    solver: await solverOf(spec.solver),
    sparsity,
    plan: {},
    data,
    arch: model.architecture.name,
    settings,
    findCurvature: (name) => findCurvature(name, process.cwd()),
    session,
  });
  const rounds = result.rounds!;
  const last = rounds[rounds.length - 1]!;
  return { pruned: last.pruned!.accuracy, accuracy: last.retrained!.accuracy, rounds };
}

/** Prunes only, by the solver's own plan. @returns test accuracy */
export async function pruneOnly(
  spec: BenchSetting & { network: Network; solver: string; sparsity: number; seed: number },
): Promise<number> {
  const { network, data, kernels, sparsity, seed } = spec;
  const session = quietSession(kernels, seed);
  const solver = await solverOf(spec.solver);
  await pruneNetwork({
    network,
    solver,
    sparsity,
    plan: {},
    train: data.train,
    findCurvature: (name: string) => findCurvature(name, process.cwd()),
    session,
  });
  return (await network.evaluate(data.test, session.context())).accuracy;
}

/** "94.11 +- 0.20": mean and standard deviation over seeds. */
export function meanAndDeviation(values: readonly number[]): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return values.length < 2 ? mean.toFixed(2) : `${mean.toFixed(2)} ± ${Math.sqrt(variance).toFixed(2)}`;
}
