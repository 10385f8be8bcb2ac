import type { EntryOf, RunPlan, Solver } from "@secateur/core";
import type { CostTable } from "@secateur/runtime/pack";
import type { FoundEntry, SolverEntry } from "../../plugins/found-entry.ts";
import type { LimitSettings } from "../../recipe/limits.ts";
import type { KernelChoice } from "../../session.ts";
import type { BatchNormSettings } from "../norm/batch-norm.ts";
import type { InputTexts } from "../open/input-choices.ts";
import type { EngineChoice } from "../open/load-tensorflow.ts";
import type { PreprocessAsked } from "../open/open-data.ts";
import type { RetrainSettings } from "../retrain/retrain-schema.ts";
import type { AllocationSettings } from "../retrain/retrain-settings.ts";
import type { LayersSettings } from "./layers-settings.ts";

/** A run, resolved but for what only the model and the data can tell. */
export interface PruneSettings {
  /** Absolute path. */
  readonly model: string;
  readonly arch: string | undefined;
  /** Of a TensorFlow.js model. */
  readonly engine: EngineChoice | undefined;
  /** Whether weights of a TensorFlow.js model's frozen layers are pruned too. */
  readonly includeFrozen: boolean | undefined;
  /** Of an ONNX model. */
  readonly inputs: InputTexts;
  /** With absolute paths. Absent: nothing is measured, which only a run that needs no data can do without. */
  readonly data: string | undefined;
  readonly normalize: string | undefined;
  /** What else is said of preparing data. */
  readonly preprocess: PreprocessAsked;
  /** The text of --task. */
  readonly task: string | undefined;
  readonly found: FoundEntry<SolverEntry>;
  readonly solver: Solver;
  /** Options of the solver, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly plan: RunPlan;
  /** Names of the options and plan settings that this call set, without those of a recipe. */
  readonly given: readonly string[];
  /** Absent where only other things are limited. */
  readonly sparsity: number | undefined;
  readonly limits: LimitSettings;
  /** Channels without weights are cut out of what is written, to widths that are multiples of this; undefined: they are not. */
  readonly cut: number | undefined;
  /** What kernels take on the machine that `milliseconds` are of; default: as measured on a server. */
  readonly costs?: CostTable;
  /** Words of --keep-dense. */
  readonly keepDense: readonly string[];
  /** What was asked for; see batchNormFor. */
  readonly batchNorm: Partial<BatchNormSettings>;
  /** Absent: nothing is retrained. */
  readonly retrain: RetrainSettings | undefined;
  /** The schedule that `retrain` names. */
  readonly schedule: FoundEntry<EntryOf<"schedule">> | undefined;
  /** Absent: global. */
  readonly allocation: AllocationSettings | undefined;
  /** The allocation that `allocation` names, where it is not one of ours. */
  readonly spread: FoundEntry<EntryOf<"allocation">> | undefined;
  /** Options of the curvature; what is left out is its default. */
  readonly curvatureOptions: Readonly<Record<string, unknown>>;
  /** Absent: the weights of the whole network are one problem. */
  readonly layers: LayersSettings | undefined;
  readonly seed: number;
  readonly kernels: KernelChoice;
}

/** What the user named; --distill is short for the task at the plan's temperature. */
export function taskText({ task, plan }: Pick<PruneSettings, "task" | "plan">): string | undefined {
  if (task !== undefined || !plan.distill) return task;
  return plan.temperature === undefined ? "distillation" : `distillation:temperature=${plan.temperature}`;
}
