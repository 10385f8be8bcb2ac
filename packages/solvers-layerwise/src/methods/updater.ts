/** The exact re-fit of every row on a mask that another method chose. */
import { type Updater, weightMask } from "@secateur/core";
import { layerProblem } from "../problem/layer-problem.ts";
import { refit } from "../problem/refit.ts";
import { withLayer } from "../problem/solution.ts";

/** r[S] = H[S, S]^-1 (H w0 - g)[S] for every row, S its support. k^3 / 6 multiply-adds a row. */
export const rowRefit: Updater = {
  needs: {},
  update: (problem, mask, ctx) =>
    withLayer(layerProblem(problem, ctx), async (layer) => {
      const { w } = await refit(layer, weightMask(problem.units, mask), ctx);
      const data = problem.w.data.slice();
      data.set(w.data);
      return { ...problem.w, data };
    }),
};
