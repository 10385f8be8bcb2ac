/** The flags of pruning layer by layer: the keys of a recipe's "layers". */
import type { LayerInputsMode, LayerTargets, Solver } from "@secateur/core";
import {
  badUsage,
  flagWithoutEffect,
  gradientPlanKeys,
  kebab,
  type LimitSettings,
  type PlanKey,
  soleOfEvery,
} from "@secateur/run";
import {
  biasSettings,
  type LayersSettings,
  layerAllocationChoices,
  layerInputsModes,
  layerTargets,
} from "@secateur/run/node/prune/layers-settings";
import { type Command, Option } from "commander";
import { numberParser, wholeParser } from "./number.ts";

/** As commander hands them over. */
export interface LayersFlags {
  readonly scope?: "network" | "layers";
  readonly inputs?: LayerInputsMode;
  readonly match?: LayerTargets;
  readonly refitBlocks?: number;
  readonly layerBiases?: NonNullable<LayersSettings["biases"]>;
  readonly layerAllocation?: NonNullable<LayersSettings["allocation"]>;
  readonly calibration?: number;
  readonly layerDamping?: number;
}

/** Adds the flags to a command. */
export function addLayersFlags(command: Command): void {
  command.optionsGroup("Layer by layer, from the layers' own inputs (recipe: layers):");
  command
    .addOption(
      new Option(
        "--scope <scope>",
        "network: all weights are one problem; layers: one problem a layer (default: what the solver is made for)",
      ).choices(["network", "layers"]),
    )
    .addOption(
      new Option(
        "--inputs <which>",
        "inputs of a layer: sequential, of the network pruned so far; parallel, of the dense one (default: sequential)",
      ).choices(layerInputsModes),
    );
  command
    .addOption(
      new Option(
        "--match <whose>",
        "outputs that a layer is to give on its inputs: dense, those it has in the dense network; own, those of its dense weights (default: dense; own where batch-norm statistics are measured anew and --layer-biases is kept)",
      ).choices(layerTargets),
    )
    .addOption(
      new Option(
        "--refit-blocks <epochs>",
        "re-fits the weights of whole blocks to what the dense blocks give, so many passes over the examples (default: 0)",
      ).argParser(wholeParser("--refit-blocks", 0)),
    )
    .addOption(
      new Option(
        "--layer-biases <which>",
        "fitted: biases, and batch-norm statistics that are measured anew, take up the means of a layer's outputs; kept: as they are while layers are solved (default: fitted; --retrain trains them in either case)",
      ).choices(biasSettings),
    );
  command
    .addOption(
      new Option(
        "--layer-allocation <name>",
        "how layers share the sparsity: uniform; global by the losses of removing weights; loss-database by their sums at levels of each; owl by outliers; auto tries uniform and global on held-out examples, evolution changes of the better (default: auto)",
      ).choices(layerAllocationChoices),
    )
    .addOption(
      new Option("--calibration <n>", "training examples whose layer inputs are taken (default: 1024)").argParser(
        wholeParser("--calibration", 1),
      ),
    )
    .addOption(
      new Option(
        "--layer-damping <share>",
        "added to the diagonal of H, the second moments of the inputs, as a share of its mean (default: .01 where rows of inputs are fewer than 4 to a weight of a row, else 0)",
      ).argParser(
        numberParser({
          flag: "--layer-damping",
          allowed: "a number of at least 0",
          accepts: (value) => value >= 0 && Number.isFinite(value),
        }),
      ),
    );
}

/**
 * What flags and recipe say of layers; undefined where the whole network is one problem.
 *
 * @throws ERR_USAGE for flags of layers in a run that has none
 */
export function layersFromFlags(
  flags: LayersFlags,
  spec: {
    solver: Solver;
    recipe: LayersSettings | undefined;
    asked: readonly PlanKey[];
    limits: LimitSettings;
    isSparsityGiven: boolean;
  },
): LayersSettings | undefined {
  const { solver, recipe, asked, limits, isSparsityGiven } = spec;
  const pattern = soleOfEvery(limits.units);
  const given = {
    ...(flags.inputs === undefined ? {} : { inputs: flags.inputs }),
    ...(flags.match === undefined ? {} : { match: flags.match }),
    ...(flags.refitBlocks === undefined ? {} : { refitBlocks: flags.refitBlocks }),
    ...(flags.layerBiases === undefined ? {} : { biases: flags.layerBiases }),
    ...(flags.layerAllocation === undefined ? {} : { allocation: flags.layerAllocation }),
    ...(flags.calibration === undefined ? {} : { examples: flags.calibration }),
    ...(flags.layerDamping === undefined ? {} : { damping: flags.layerDamping }),
    ...(pattern ? { pattern } : {}),
  };
  const scope = flags.scope ?? (recipe ? "layers" : (solver.scope ?? "network"));
  if (scope === "network") {
    const used = (
      ["inputs", "match", "refitBlocks", "layerBiases", "layerAllocation", "calibration", "layerDamping"] as const
    ).find((key) => flags[key] !== undefined);
    if (used === undefined) return undefined;
    throw flagWithoutEffect({
      flag: `--${kebab(used)}`,
      reason: "it is of pruning layer by layer, see --scope layers",
    });
  }
  const layers = { ...recipe, ...given };
  if (layers.pattern && isSparsityGiven) {
    throw badUsage(
      `${pattern ? "--units of-every" : "layers.pattern of the recipe"} says how many weights are kept; leave ${pattern ? "--sparsity" : "one of it and --sparsity"} out`,
    );
  }
  const setting = asked.find((key) => gradientPlanKeys.includes(key));
  if (setting !== undefined) {
    throw flagWithoutEffect({
      flag: `--${kebab(setting)}`,
      reason: "layers are pruned from their inputs, without gradients",
    });
  }
  return layers;
}
