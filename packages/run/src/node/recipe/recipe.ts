/** The resolved recipe of a run: everything that decided its result, as data, so that it can be repeated. */
import type { EngineName } from "@secateur/backends-tfjs";
import type { RunPlan } from "@secateur/core";
import type { CostTable } from "@secateur/runtime/pack";
import type { KernelChoice } from "../../session.ts";
import type { BatchNormSettings } from "../norm/batch-norm.ts";
import type { Preprocessing } from "../preprocessing/preprocessing.ts";
import type { LayersSettings } from "../prune/layers-settings.ts";
import type { RetrainSettings } from "../retrain/retrain-schema.ts";
import type { AllocationSettings } from "../retrain/retrain-settings.ts";

/** A recipe as it stands in a file. Paths in it are relative to the file's folder, with forward slashes. */
export interface Recipe {
  /** Version of this format. */
  readonly recipe: 1;
  readonly model: string;
  /** Of the model file; for the record, a recipe may be used on another model. */
  readonly modelSha256: string;
  readonly arch: string;
  /** What ran a TensorFlow.js model; absent for other networks. */
  readonly engine?: EngineName;
  /** Whether weights of frozen layers of a TensorFlow.js model were pruned too; absent: they were not. */
  readonly includeFrozen?: boolean;
  /** What was said of the inputs of an ONNX model: extents that it leaves open (NAME=EXTENTS), and constants (NAME=NUMBER); absent: nothing. */
  readonly inputShape?: readonly string[];
  readonly fix?: readonly string[];
  /** Absent: the run needed none, and nothing was measured. */
  readonly data?: string;
  readonly normalize?: string;
  /** How data are prepared for the network, as flags and the model's files say together; absent: nobody said anything. */
  readonly preprocess?: Preprocessing;
  /** NAME or NAME:KEY=VALUE,...; absent: told from the model and the data. */
  readonly task?: string;
  readonly solver: string;
  /** Options of the solver, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Absent where only the following are limited. */
  readonly sparsity?: number;
  /** Kept of the dense network's operations and bytes, as fractions; milliseconds of a forward pass. Absent: not limited. */
  readonly flops?: number;
  readonly bytes?: number;
  readonly milliseconds?: number;
  /** What kernels take on the machine that the milliseconds are of; absent: those of the runtime. */
  readonly costs?: CostTable;
  /** What is kept or removed together, as --units has it; absent: single weights. */
  readonly units?: readonly string[];
  /** Channels without weights were cut out of the network, to widths that are multiples of this; absent: they were not. */
  readonly cut?: number;
  /** Weights left as they were: first, last, auto, or names; absent: none. */
  readonly keepDense?: readonly string[];
  /** The plan in force, defaults filled in. */
  readonly plan: RunPlan;
  /** How the kept weights were trained, in rounds with the pruning; absent: not at all. */
  readonly retrain?: RetrainSettings;
  /** How the kept weights were spread over layers; absent: anywhere. */
  readonly allocation?: AllocationSettings;
  /** How it was pruned layer by layer; absent: the weights of the whole network were one problem. */
  readonly layers?: LayersSettings;
  /** When statistics of batch normalisation were measured anew, and on which images; absent without batch normalisation. */
  readonly batchNorm?: BatchNormSettings;
  /** Options of the curvature that were given; absent: its defaults. */
  readonly curvatureOptions?: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly kernels: KernelChoice;
  /** The build of the kernels that ran, for example "wasm-relaxed-simd": results differ between builds by rounding. */
  readonly backend: string;
  /** Of what was asked for, and of the pruned network's files: by these --resume knows a run that is finished. Not read otherwise. */
  readonly requestSha256?: string;
  readonly outputSha256?: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** A recipe as it may be given: one that a run wrote has every key, one written by hand leaves open what has a default. */
export type RecipeFile = Pick<Recipe, "recipe"> & Partial<Omit<Recipe, "recipe">>;
