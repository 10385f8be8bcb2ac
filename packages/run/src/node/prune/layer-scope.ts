/** From the settings of scope "layers" to what core's runner takes. */
import type { Model } from "@secateur/core";
import { activations, type InputSums } from "@secateur/fisher";
import { type FittedOffsets, type LayerLoopOptions, layerLoop } from "@secateur/solvers-layerwise";
import type { PruneJob } from "../../prune/prune-network.ts";
import type { LayersSettings } from "./layers-settings.ts";

/** Calibration examples where nothing is said. */
const usualExamples = 1024;

/**
 * The scope of a run, and what prunes over it.
 *
 * @param around.offsets - what may be fitted beside weights; default: nothing, or all where the run measures statistics anew
 * @param around.atOnce - layers that are traced, or solved, at a time; default 1
 * @param around.traces - what traces layers elsewhere; default: here
 * @param around.sums - what sums up inputs elsewhere; default: here
 * @param around.openDense - opens the network before the run; called at most once; default: layers of later stages are led to what these begin with
 */
export function layerScope(
  { inputs = "sequential", examples = usualExamples, allocation, match, refitBlocks = 0, damping }: LayersSettings,
  {
    offsets,
    openDense,
    sums,
    ...elsewhere
  }: { offsets?: FittedOffsets; openDense?: () => Promise<Model>; sums?: InputSums } & Pick<
    LayerLoopOptions,
    "atOnce" | "traces"
  > = {},
): Pick<PruneJob, "layers"> {
  let dense: Promise<Model> | undefined;
  return {
    layers: {
      scope: { kind: "layers", inputs, examples },
      loop: layerLoop({
        ...(allocation === undefined ? {} : { allocation }),
        ...(match === undefined ? {} : { match }),
        ...(offsets === undefined ? {} : { offsets }),
        ...elsewhere,
        ...(refitBlocks > 0 ? { blocks: { epochs: refitBlocks } } : {}),
      }),
      curvature: activations({ damping, sums }),
      ...(openDense
        ? {
            openDense() {
              dense ??= openDense();
              return dense;
            },
          }
        : {}),
    },
  };
}
