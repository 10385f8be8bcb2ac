/** Curvatures of layers that are looked at more than once, kept while they fit: taking inputs again is a pass over the examples. */
import type { Curvature, Kernels, LayerCurvature, LayerCurvatureEstimator } from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";

/** Numbers that the H of all layers may hold: 1 GiB of f64. */
export const mostKept: number = 128 * 1024 * 1024;

/** An estimator that copies what it gives. */
export interface KeepingEstimator {
  readonly estimator: LayerCurvatureEstimator;
  /** What it gave the last time it was read to the end, without taking inputs again; undefined where that was too much to keep. */
  replay(): LayerCurvatureEstimator | undefined;
}

/** Keeps copies, since estimators free a layer before they give the next. Memory: 8 inputs^2 bytes of every layer, three times where the dense model's moments come along. */
export function keepCurvatures(
  curvature: LayerCurvatureEstimator,
  { kernels, most = mostKept }: { readonly kernels: Kernels; readonly most?: number },
): KeepingEstimator {
  let kept: LayerCurvature[] | undefined;
  return {
    estimator: {
      name: curvature.name,
      async *estimate(request, ctx) {
        kept = [];
        let numbers = 0;
        for await (const given of curvature.estimate(request, ctx)) {
          numbers += given.cols ** 2 * (given.dense ? 3 : 1);
          const copy = numbers <= most ? copyOf(given.curvature, kernels) : undefined;
          if (copy) kept?.push({ ...given, curvature: copy });
          else kept = undefined;
          yield given;
        }
      },
    },
    replay() {
      const layers = kept;
      return (
        layers && {
          name: curvature.name,
          async *estimate() {
            yield* layers;
          },
        }
      );
    },
  };
}

/** Undefined where H is not written out. */
function copyOf(curvature: Curvature, kernels: Kernels): Curvature | undefined {
  const gram = curvature.gram?.();
  const means = curvature.means && Float64Array.from(curvature.means());
  return (
    gram && gramCurvature({ ...gram, data: Float64Array.from(gram.data) }, { kernels, ...(means ? { means } : {}) })
  );
}
