/** From the settings of scope "layers" to what core's runner takes. */
import { activations } from "@secateur/fisher";
import { layerLoop } from "@secateur/solvers-layerwise";
import type { PruneJob } from "../../prune/prune-network.ts";
import type { LayersSettings } from "./layers-settings.ts";

/** Calibration examples where nothing is said. */
const usualExamples = 1024;

/** The scope of a run, and what prunes over it. */
export function layerScope({
  inputs = "sequential",
  examples = usualExamples,
  allocation,
  match,
  refitBlocks = 0,
}: LayersSettings): Pick<PruneJob, "layers"> {
  return {
    layers: {
      scope: { kind: "layers", inputs, examples },
      loop: layerLoop({
        ...(allocation === undefined ? {} : { allocation }),
        ...(match === undefined ? {} : { match }),
        ...(refitBlocks > 0 ? { blocks: { epochs: refitBlocks } } : {}),
      }),
      curvature: activations(),
    },
  };
}
