/** What one run of `secateur prune` was asked for: flags before recipe before defaults. */

import { keptCount, type RunPlan, type Solver } from "@secateur/core";
import {
  type AugmentationFlags,
  type FoundEntry,
  flagWithoutEffect,
  gradientPlanKeys,
  kebab,
  mapDataPaths,
  needsGradients,
  planKeys,
  type ReestimateTime,
  resolveOptions,
  type SolverEntry,
} from "@secateur/run";
import type { PruneSettings } from "@secateur/run/node";
import {
  type AllocationSettings,
  type BatchNormSettings,
  type EngineChoice,
  modelFile,
  parseAllocation,
  parseRetrain,
  type RecipeFile,
  type RetrainSettings,
} from "@secateur/run/node";
import { missingFlag, sparsityTwice } from "../errors.ts";
import { type PlanFlags, planFromFlags } from "../flags/plan-flags.ts";
import { solverSettings } from "../flags/solver-flags.ts";
import { allocationFromFlags, type RetrainFlags, retrainFromFlags } from "../retrain/retrain-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { SessionFlags } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import type { OutputFlags } from "./prune-outputs.ts";

/** The flags of `secateur prune` as commander hands them over; options of the solver come on top. */
export interface PruneFlags extends SessionFlags, OutputFlags, PlanFlags, AugmentationFlags, RetrainFlags {
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly data?: string;
  readonly normalize?: string;
  readonly task?: string;
  readonly sparsity?: number;
  readonly keepDense?: readonly string[];
  readonly option?: readonly string[];
  readonly recipe?: string;
}

const defaultSparsity = 0.9;

/**
 * Merges flags and recipe. A recipe's options and plan belong to its solver: another --solver leaves them out.
 *
 * @throws ERR_USAGE, ERR_OPTION, ERR_SPARSITY_RANGE
 */
export async function pruneSettings(spec: {
  model: string | undefined;
  flags: PruneFlags;
  recipe: RecipeFile | undefined;
  found: FoundEntry<SolverEntry>;
  ownFlags: ReadonlySet<string>;
  terminal: Terminal;
}): Promise<PruneSettings> {
  const { flags, recipe, found, ownFlags, terminal } = spec;
  const model = spec.model === undefined ? recipe?.model : modelFile(absolutePath(terminal, spec.model));
  if (model === undefined) throw missingFlag("MODEL", "give the checkpoint to prune, or a --recipe that names one");
  const data =
    flags.data === undefined ? recipe?.data : mapDataPaths(flags.data, (path) => absolutePath(terminal, path));
  if (data === undefined)
    throw missingFlag("--data", "give the data to prune and to evaluate with, for example --data mnist");
  const { retrain, allocation } = roundsOf(flags, recipe);
  const last = retrain?.sparsities?.[retrain.sparsities.length - 1];
  const sparsity = flags.sparsity ?? recipe?.sparsity ?? last ?? defaultSparsity;
  if (last !== undefined && last !== sparsity) throw sparsityTwice(sparsity, last);
  keptCount(1, sparsity); // refuses a sparsity outside [0, 1)

  const inherited = recipe?.solver === found.entry.name ? recipe : undefined;
  const pairs = flags.option ?? [];
  const own = solverSettings({ entry: found.entry, flags: { ...flags }, pairs, hasPlan: true, ownFlags });
  const options = await resolveOptions(found.entry, { ...inherited?.options, ...own.options });
  const created = found.entry.create(options as never);
  // A plan that names every setting is a finished run's, and the solver's advice must not change it.
  const isWhole = planKeys.every((key) => inherited?.plan?.[key] !== undefined);
  const solver: Solver = isWhole
    ? { needs: created.needs, solve: (problem, ctx) => created.solve(problem, ctx) }
    : created;
  const asked = planFromFlags({ ...flags, ...own.plan });
  assertUsed({ asked, solver, name: found.entry.name });
  return {
    model,
    arch: flags.arch ?? recipe?.arch,
    engine: flags.engine ?? recipe?.engine,
    data,
    normalize: flags.normalize ?? recipe?.normalize,
    task: flags.task ?? recipe?.task,
    found,
    solver,
    options,
    plan: { ...inherited?.plan, ...asked },
    given: [...Object.keys(own.options), ...Object.keys(asked)],
    sparsity,
    keepDense: flags.keepDense ?? recipe?.keepDense ?? [],
    batchNorm: { ...recipe?.batchNorm, ...batchNormSettings(flags) },
    retrain,
    allocation,
    seed: flags.seed ?? recipe?.seed ?? 0,
    kernels: flags.kernels ?? recipe?.kernels ?? "wasm",
  };
}

/** What flags and recipe say of retraining and allocation, judged before anything runs. */
function roundsOf(
  flags: PruneFlags,
  recipe: RecipeFile | undefined,
): { retrain: RetrainSettings | undefined; allocation: AllocationSettings | undefined } {
  const retrain = retrainFromFlags(flags, recipe?.retrain);
  const allocation = allocationFromFlags(flags, recipe?.allocation);
  return {
    retrain: retrain && parseRetrain("prune", retrain),
    allocation: allocation && parseAllocation("prune", allocation),
  };
}

function batchNormSettings({ reestimateBatchNorm: when, cropPadding, flip }: PruneFlags): Partial<BatchNormSettings> {
  return {
    ...(when === undefined ? {} : { when }),
    ...(cropPadding === undefined ? {} : { cropPadding }),
    ...(flip === undefined ? {} : { flip }),
  };
}

/** A solver without gradients reads none of the settings of the gradients. */
function assertUsed(spec: { asked: RunPlan; solver: Solver; name: string }): void {
  const { asked, solver, name } = spec;
  if (needsGradients(solver)) return;
  const key = gradientPlanKeys.find((candidate) => asked[candidate] !== undefined);
  if (key !== undefined) {
    throw flagWithoutEffect({ flag: `--${kebab(key)}`, reason: `the solver ${name} takes no gradients` });
  }
}
