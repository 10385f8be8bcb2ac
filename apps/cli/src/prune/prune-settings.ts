/** What one run of `secateur prune` was asked for: flags before recipe before defaults. */
import { badOption, keptCount, type OptionsSchema, optionProperties, type RunPlan, type Solver } from "@secateur/core";
import { flagWithoutEffect, missingFlag, sparsityTwice, unknownOption } from "../errors.ts";
import type { AugmentationFlags, ReestimateTime } from "../flags/batch-norm-flags.ts";
import { allowedValues, kebab } from "../flags/option-schema.ts";
import { gradientPlanKeys, type PlanFlags, planFromFlags, planKeys } from "../flags/plan-flags.ts";
import { solverSettings } from "../flags/solver-flags.ts";
import type { FoundEntry, SolverEntry } from "../plugins/find-entry.ts";
import type { RecipeFile } from "../recipe/recipe.ts";
import { allocationFromFlags, type RetrainFlags, retrainFromFlags } from "../retrain/retrain-flags.ts";
import {
  type AllocationSettings,
  parseAllocation,
  parseRetrain,
  type RetrainSettings,
} from "../retrain/retrain-settings.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { BatchNormSettings } from "../run/batch-norm.ts";
import { mapDataPaths } from "../run/data-spec.ts";
import type { EngineChoice } from "../run/load-tensorflow.ts";
import type { KernelChoice } from "../run/open-kernels.ts";
import { modelFile } from "../run/open-tfjs.ts";
import type { SessionFlags } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import { needsGradients } from "./prune-network.ts";
import type { OutputFlags } from "./prune-outputs.ts";

/** The flags of `secateur prune` as commander hands them over; options of the solver come on top. */
export interface PruneFlags extends SessionFlags, OutputFlags, PlanFlags, AugmentationFlags, RetrainFlags {
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly data?: string;
  readonly normalize?: string;
  readonly sparsity?: number;
  readonly keepDense?: readonly string[];
  readonly option?: readonly string[];
  readonly recipe?: string;
}

/** A run, resolved but for what only the model and the data can tell. */
export interface PruneSettings {
  /** Absolute path. */
  readonly model: string;
  readonly arch: string | undefined;
  /** Of a TensorFlow.js model. */
  readonly engine: EngineChoice | undefined;
  /** With absolute paths. */
  readonly data: string;
  readonly normalize: string | undefined;
  readonly found: FoundEntry<SolverEntry>;
  readonly solver: Solver;
  /** Options of the solver, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly plan: RunPlan;
  /** Names of the options and plan settings that this call set, without those of a recipe. */
  readonly given: readonly string[];
  readonly sparsity: number;
  /** Words of --keep-dense. */
  readonly keepDense: readonly string[];
  /** What was asked for; see batchNormFor. */
  readonly batchNorm: Partial<BatchNormSettings>;
  /** Absent: nothing is retrained. */
  readonly retrain: RetrainSettings | undefined;
  /** Absent: global. */
  readonly allocation: AllocationSettings | undefined;
  readonly seed: number;
  readonly kernels: KernelChoice;
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

/** Validated options with their defaults. @throws ERR_OPTION */
export async function resolveOptions(
  entry: SolverEntry,
  options: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const properties = optionProperties(entry.options);
  const known = Object.keys(properties);
  const strange = Object.keys(options).find((key) => !known.includes(key));
  if (strange !== undefined) throw unknownOption({ solver: entry.name, found: strange, known });
  const result = await (entry.options as OptionsSchema<Readonly<Record<string, unknown>>>)["~standard"].validate(
    options,
  );
  if (!result.issues) return result.value;
  // Said in our words, from what the schema admits; the validator's own words only where it judges options together.
  const problems = result.issues.map(({ path = [], message }) => {
    const [key] = path.map((part) => String(typeof part === "object" ? part.key : part));
    const property = key === undefined ? undefined : properties[key];
    if (key === undefined || property === undefined) return message;
    const found = options[key];
    return `option '${key}': found ${typeof found === "string" ? `'${found}'` : JSON.stringify(found)}, allowed is ${allowedValues(property)}`;
  });
  throw badOption(entry.name, [...new Set(problems)].join("; "));
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
