/** What one run of `secateur prune` was asked for: flags before recipe before defaults. */

import { keptCount, type RunPlan, type Solver } from "@secateur/core";
import {
  type AugmentationFlags,
  arePattern,
  type FoundEntry,
  flagWithoutEffect,
  gradientPlanKeys,
  kebab,
  mapDataPaths,
  needsGradients,
  optionsFromPairs,
  planKeys,
  type ReestimateTime,
  resolveOptions,
  type SolverEntry,
} from "@secateur/run";
import type { BatchNormSettings } from "@secateur/run/node/norm/batch-norm";
import type { EngineChoice } from "@secateur/run/node/open/load-tensorflow";
import { modelFile } from "@secateur/run/node/open/open-tfjs";
import { readCosts } from "@secateur/run/node/pack/costs-file";
import { findEntry } from "@secateur/run/node/plugins/find-entry";
import type { PruneSettings } from "@secateur/run/node/prune/prune-settings";
import type { RecipeFile } from "@secateur/run/node/recipe/recipe";
import { parseAllocation, parseRetrain } from "@secateur/run/node/retrain/retrain-settings";
import { missingFlag, sparsityTwice } from "../errors.ts";
import type { DataFlags } from "../flags/common-flags.ts";
import type { InputFlags } from "../flags/input-flags.ts";
import { type LayersFlags, layersFromFlags } from "../flags/layers-flags.ts";
import { type LimitFlags, limitsFromFlags } from "../flags/limit-flags.ts";
import { type PlanFlags, planFromFlags } from "../flags/plan-flags.ts";
import { solverSettings } from "../flags/solver-flags.ts";
import type { JobFlags } from "../flags/work-flags.ts";
import { allocationFromFlags, type RetrainFlags, retrainFromFlags } from "../retrain/retrain-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { SessionFlags } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import type { OutputFlags } from "./prune-outputs.ts";

/** The flags of `secateur prune` as commander hands them over; options of the solver come on top. */
export interface PruneFlags
  extends SessionFlags,
    OutputFlags,
    PlanFlags,
    AugmentationFlags,
    RetrainFlags,
    LayersFlags,
    LimitFlags,
    DataFlags,
    InputFlags,
    JobFlags {
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly includeFrozen?: boolean;
  readonly sparsity?: number;
  readonly solver?: string;
  readonly selector?: string;
  readonly keepDense?: readonly string[];
  readonly option?: readonly string[];
  readonly curvatureOption?: readonly string[];
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
  const rounds = await roundsOf(flags, recipe, terminal.cwd);
  const { retrain } = rounds;
  const last = retrain?.sparsities?.[retrain.sparsities.length - 1];
  const limits = limitsFromFlags(flags, recipe);
  // The default stands in where nothing else says how far to go.
  const saysEnough = Object.keys(limits).some((key) => key !== "units") || arePattern(limits.units);
  const sparsity = flags.sparsity ?? recipe?.sparsity ?? last ?? (saysEnough ? undefined : defaultSparsity);
  if (last !== undefined && last !== sparsity) throw sparsityTwice(sparsity!, last);
  if (sparsity !== undefined) keptCount(1, sparsity); // refuses a sparsity outside [0, 1)
  if (flags.costs !== undefined && limits.milliseconds === undefined) {
    throw flagWithoutEffect({ flag: "--costs", reason: "no --milliseconds are limited" });
  }
  if (flags.multipleOf !== undefined && !flags.cut) {
    throw flagWithoutEffect({ flag: "--multiple-of", reason: "nothing is cut without --cut" });
  }
  const costs = flags.costs === undefined ? recipe?.costs : await readCosts(absolutePath(terminal, flags.costs));

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
  const layers = layersFromFlags(flags, {
    ...{ solver: created, recipe: recipe?.layers, limits, isSparsityGiven: flags.sparsity !== undefined },
    asked: planKeys.filter((key) => asked[key] !== undefined),
  });
  assertUsed({ asked, solver, name: found.entry.name, curvatureOption: flags.curvatureOption });
  if (data === undefined)
    assertNoDataNeeded({
      flags,
      solver,
      name: found.entry.name,
      isRetrained: retrain !== undefined,
      isInLayers: layers !== undefined,
    });
  return {
    model,
    arch: flags.arch ?? recipe?.arch,
    engine: flags.engine ?? recipe?.engine,
    includeFrozen: flags.includeFrozen ?? recipe?.includeFrozen,
    inputs: { inputShape: flags.inputShape ?? recipe?.inputShape ?? [], fix: flags.fix ?? recipe?.fix ?? [] },
    data,
    normalize: flags.normalize ?? recipe?.normalize,
    preprocess: { text: flags.preprocess, recipe: recipe?.preprocess },
    task: flags.task ?? recipe?.task,
    found,
    solver,
    options,
    plan: { ...inherited?.plan, ...asked },
    given: [...Object.keys(own.options), ...Object.keys(asked)],
    sparsity: layers?.pattern ? 1 - layers.pattern.keep / layers.pattern.of : sparsity,
    limits,
    cut: flags.cut ? (flags.multipleOf ?? 1) : recipe?.cut,
    ...(costs ? { costs } : {}),
    keepDense: flags.keepDense ?? recipe?.keepDense ?? [],
    batchNorm: { ...recipe?.batchNorm, ...batchNormSettings(flags) },
    ...rounds,
    layers,
    curvatureOptions: {
      ...recipe?.curvatureOptions,
      ...optionsFromPairs("--curvature-option", flags.curvatureOption ?? []),
    },
    seed: flags.seed ?? recipe?.seed ?? 0,
    kernels: flags.kernels ?? recipe?.kernels ?? "wasm",
  };
}

/** What flags and recipe say of retraining and allocation, judged before anything runs. */
async function roundsOf(
  flags: PruneFlags,
  recipe: RecipeFile | undefined,
  from: string,
): Promise<Pick<PruneSettings, "retrain" | "schedule" | "allocation" | "spread">> {
  const retrain = retrainFromFlags(flags, recipe?.retrain);
  const bounds = allocationFromFlags(flags, recipe?.allocation);
  const chosen = retrain && (await parseRetrain({ where: "prune", value: retrain, from }));
  const allocation = bounds && parseAllocation("prune", bounds);
  const name = allocation?.method;
  return {
    ...{ retrain: chosen?.settings, schedule: chosen?.schedule, allocation },
    spread: name === undefined ? undefined : await findEntry({ name, from, kinds: ["allocation"] }),
  };
}

function batchNormSettings({ reestimateBatchNorm: when, cropPadding, flip }: PruneFlags): Partial<BatchNormSettings> {
  return {
    ...(when === undefined ? {} : { when }),
    ...(cropPadding === undefined ? {} : { cropPadding }),
    ...(flip === undefined ? {} : { flip }),
  };
}

/** Data may be left out where nothing is made of them; then nothing is measured either. @throws ERR_USAGE */
function assertNoDataNeeded(spec: {
  flags: PruneFlags;
  solver: Solver;
  name: string;
  isRetrained: boolean;
  isInLayers: boolean;
}): void {
  const { flags, solver, name } = spec;
  const reason = needsGradients(solver)
    ? `${name} takes gradients`
    : spec.isInLayers
      ? `${name} prunes layers by their inputs`
      : spec.isRetrained
        ? "retraining needs examples"
        : undefined;
  if (reason !== undefined) {
    throw missingFlag(
      "--data",
      `${reason}: give the data to prune and to evaluate with, for example --data mnist; only --solver magnitude${spec.isRetrained ? " without --retrain" : ""} does without`,
    );
  }
  const flag = dataFlags.find((key) => flags[key] !== undefined);
  if (flag !== undefined) {
    throw missingFlag(
      "--data",
      `--${kebab(flag)} does nothing without data: add --data, or leave --${kebab(flag)} out`,
    );
  }
}

/** Flags that say what is done with data. */
const dataFlags = ["normalize", "preprocess", "task", "reestimateBatchNorm", "cropPadding", "flip", "report"] as const;

/** A solver without gradients reads none of the settings of the gradients. */
function assertUsed(spec: {
  asked: RunPlan;
  solver: Solver;
  name: string;
  curvatureOption: readonly string[] | undefined;
}): void {
  const { asked, solver, name } = spec;
  if (needsGradients(solver)) return;
  if (spec.curvatureOption !== undefined) {
    throw flagWithoutEffect({ flag: "--curvature-option", reason: `the solver ${name} takes no gradients` });
  }
  const key = gradientPlanKeys.find((candidate) => asked[candidate] !== undefined);
  if (key !== undefined) {
    throw flagWithoutEffect({ flag: `--${kebab(key)}`, reason: `the solver ${name} takes no gradients` });
  }
}
