/** The JSON document of `secateur sensitivity`: its keys are a contract, described in docs/cli.md. */
import type { Evaluation, MeasuredValue } from "@secateur/core";
import type { FailedLayer, LayerScan } from "./scan-layers.ts";

/** What `secateur sensitivity --json` prints. Measured on training examples that gave no gradients. */
export interface SensitivityDocument {
  readonly model: string;
  readonly modelSha256: string;
  readonly arch: string;
  readonly data: string;
  readonly solver: string;
  /** Of the network as it is, on the held-out training examples. */
  readonly dense: Evaluation;
  /** Statistics of batch normalisation were measured anew before `dense` was. */
  readonly remeasured?: true;
  /** By what layers are compared: the task's first measure, with its value before pruning. */
  readonly measure: MeasuredValue;
  /** Of a layer-wise solver the calibration examples: it takes no gradients. */
  readonly gradients: { readonly examples: number; readonly ridge: number; readonly gradientMs: number };
  readonly layers: readonly LayerScan[];
  /** Layers that could not be pruned to a sparsity; absent where none failed. */
  readonly failed?: readonly FailedLayer[];
  /** Present where the scan was interrupted: `layers` are those that were reached, and nothing is proposed. */
  readonly interrupted?: true;
  readonly proposal: Proposal;
  readonly seed: number;
  readonly backend: string;
  readonly timing: { readonly gradientMs: number; readonly totalMs: number };
  readonly peakMemoryBytes: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** What to keep dense at the target, and what that brings with as many weights in all. */
export interface Proposal {
  readonly sparsity: number;
  readonly tolerance: number;
  /** Empty: prune every layer. */
  readonly keepDense: readonly string[];
  /** The layers that were tried as dense, in the order of their need. */
  readonly candidates: readonly string[];
  /** The measure of the whole network pruned in one stage, every layer; accuracyAll where it is the accuracy. */
  readonly valueAll?: number;
  readonly accuracyAll?: number;
  /** The same with the candidates dense and the others sparser, as many weights kept in all. */
  readonly valueKept?: number;
  readonly accuracyKept?: number;
  /** The flag of `secateur prune` that applies it; absent when nothing is proposed. */
  readonly flag?: string;
  /** Present where layers could not all be judged: nothing is proposed, not even to prune them all. */
  readonly undecided?: true;
  readonly reason: string;
}
