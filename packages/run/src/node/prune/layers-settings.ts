/** How a network is pruned layer by layer: the keys of a recipe's "layers". */
import type { LayerInputsMode, LayerTargets } from "@secateur/core";
import { type LayerAllocation, layerAllocations } from "@secateur/solvers-layerwise";
import { badRecipe } from "../../errors.ts";

/** Rules, or a choice among shares by held-out examples. */
export type LayerAllocationChoice = LayerAllocation | "auto" | "evolution";

/** What becomes of biases. */
export type BiasSetting = "fitted" | "kept";

/** All of them. */
export const biasSettings: readonly BiasSetting[] = ["fitted", "kept"];

/** Settings of scope "layers"; every one has a default. */
export interface LayersSettings {
  /** Inputs of the network pruned so far (default), or of the dense one. */
  readonly inputs?: LayerInputsMode;
  /** Whose outputs a layer is to give on the inputs it has now: those of the dense network, or of its own dense weights; default: the former, but the latter where batch-norm statistics are measured anew and not fitted on the way (`biases` "kept"). */
  readonly match?: LayerTargets;
  /** Passes over the calibration examples in which whole blocks are re-fitted when all layers are pruned; default 0. */
  readonly refitBlocks?: number;
  /** Whether biases of layers are fitted with their weights; so are batch-norm statistics where they are measured anew. Default: fitted; with retraining they are trained from there. */
  readonly biases?: BiasSetting;
  /** How layers share the budget; default "auto". */
  readonly allocation?: LayerAllocationChoice;
  /** Added to the diagonal of H, as a fraction of its mean; default: .01 for a layer with few rows of inputs, else 0. */
  readonly damping?: number;
  /** Calibration examples at most; default 1024. */
  readonly examples?: number;
  /** Keep so many of every so many inputs of a row, instead of a sparsity. */
  readonly pattern?: { readonly keep: number; readonly of: number };
}

/** All modes of inputs. */
export const layerInputsModes: readonly LayerInputsMode[] = ["sequential", "parallel"];

/** All that a layer can be led to. */
export const layerTargets: readonly LayerTargets[] = ["own", "dense"];

/** All ways to share a budget out. */
export const layerAllocationChoices: readonly LayerAllocationChoice[] = ["auto", ...layerAllocations, "evolution"];

/** Checks the value of "layers" in a recipe. @throws ERR_RECIPE */
export function parseLayers(path: string, value: Readonly<Record<string, unknown>>): LayersSettings {
  const { inputs, match, refitBlocks, biases, allocation, damping, examples, pattern, ...others } = value;
  const refuse = (key: string, found: unknown, expected: string): never => {
    throw badRecipe({ path, found: `${JSON.stringify(found)} as 'layers.${key}'`, expected });
  };
  const [strange] = Object.keys(others);
  if (strange !== undefined)
    refuse(strange, others[strange], "inputs, match, refitBlocks, biases, allocation, damping, examples or pattern");
  if (inputs !== undefined && !layerInputsModes.some((name) => name === inputs)) {
    refuse("inputs", inputs, layerInputsModes.join(" or "));
  }
  if (match !== undefined && !layerTargets.some((name) => name === match))
    refuse("match", match, layerTargets.join(" or "));
  if (refitBlocks !== undefined && !(Number.isInteger(refitBlocks) && (refitBlocks as number) >= 0)) {
    refuse("refitBlocks", refitBlocks, "a whole number of at least 0");
  }
  if (biases !== undefined && !biasSettings.some((name) => name === biases))
    refuse("biases", biases, biasSettings.join(" or "));
  if (allocation !== undefined && !layerAllocationChoices.some((name) => name === allocation)) {
    refuse("allocation", allocation, layerAllocationChoices.join(", "));
  }
  if (damping !== undefined && !(typeof damping === "number" && damping >= 0 && Number.isFinite(damping))) {
    refuse("damping", damping, "a number of at least 0");
  }
  if (examples !== undefined && !(Number.isInteger(examples) && (examples as number) >= 1)) {
    refuse("examples", examples, "a whole number of at least 1");
  }
  if (pattern !== undefined && !isPattern(pattern)) refuse("pattern", pattern, 'such as { "keep": 2, "of": 4 }');
  return value as LayersSettings;
}

function isPattern(value: unknown): boolean {
  const { keep, of } = (value ?? {}) as { keep?: unknown; of?: unknown };
  return Number.isInteger(keep) && Number.isInteger(of) && 1 <= (keep as number) && (keep as number) <= (of as number);
}
