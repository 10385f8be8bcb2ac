/** Curvatures of layers that are looked at more than once, kept while they fit: taking inputs again is a pass over the examples. */
import type {
  Curvature,
  DenseMoments,
  Kernels,
  LayerCurvature,
  LayerCurvatureEstimator,
  RunEvent,
} from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";

/** Numbers that the H of all layers may hold: 1 GiB of f64. */
const mostNumbers = 128 * 1024 * 1024;

/** Why layers cannot be kept: all H are more than so many GiB, or one is not written out. */
export type LossCause = { readonly kind: "size"; readonly most: number } | { readonly kind: "form" };

/** An estimator that copies what it gives. */
export interface KeepingEstimator {
  readonly estimator: LayerCurvatureEstimator;
  /** What it gave when it was read to the end, with the notes of that time, without taking inputs again; undefined where it could not be kept. Good until `release`. */
  replay(): LayerCurvatureEstimator | undefined;
  release(): void;
}

interface Kept {
  readonly layer: LayerCurvature;
  readonly notes: readonly RunEvent[];
}

/**
 * Keeps copies, since estimators free a layer before they give the next. Memory: 8 inputs^2 bytes of every layer, three times where the dense model's moments come along.
 *
 * @param spec.most - numbers that they may hold; default: 1 GiB of f64
 * @param spec.lost - called once where they cannot be kept; may throw
 */
export function keepCurvatures(
  curvature: LayerCurvatureEstimator,
  spec: { readonly kernels: Kernels; readonly most?: number; readonly lost?: (cause: LossCause) => void },
): KeepingEstimator {
  const { kernels, most = mostNumbers, lost } = spec;
  let whole: readonly Kept[] | undefined;
  return {
    estimator: {
      name: curvature.name,
      async *estimate(request, ctx) {
        whole = undefined;
        let kept: Kept[] | undefined = [];
        let notes: RunEvent[] = [];
        let numbers = 0;
        const report = (event: RunEvent): void => {
          if (event.type === "note") notes.push(event);
          ctx.report(event);
        };
        for await (const given of curvature.estimate(request, { ...ctx, report })) {
          numbers += given.cols ** 2 * (given.dense ? 3 : 1);
          const cause = causeOf(given, numbers, most);
          if (cause && kept) lost?.(cause);
          if (cause) kept = undefined;
          kept?.push({ layer: copyOf(given, kernels), notes });
          notes = [];
          yield given;
        }
        whole = kept;
      },
    },
    replay: () =>
      whole && {
        name: curvature.name,
        async *estimate(_request, ctx) {
          for (const { layer, notes } of whole ?? []) {
            notes.forEach(ctx.report);
            yield layer;
          }
        },
      },
    release() {
      whole = undefined;
    },
  };
}

function causeOf({ curvature }: LayerCurvature, numbers: number, most: number): LossCause | undefined {
  if (!curvature.gram) return { kind: "form" };
  return numbers > most ? { kind: "size", most: (8 * most) / 2 ** 30 } : undefined;
}

/** One whose numbers are its own, of a layer whose H is written out: what an estimator lends is freed before the next. */
export function copyOf(given: LayerCurvature, kernels: Kernels): LayerCurvature {
  const { curvature, dense } = given;
  return { ...given, curvature: copyOfH(curvature, kernels), ...(dense ? { dense: copyOfMoments(dense) } : {}) };
}

function copyOfH(curvature: Curvature, kernels: Kernels): Curvature {
  const gram = curvature.gram!();
  const means = curvature.means && Float64Array.from(curvature.means());
  return gramCurvature({ ...gram, data: Float64Array.from(gram.data) }, { kernels, ...(means ? { means } : {}) });
}

function copyOfMoments({ cross, own, means }: DenseMoments): DenseMoments {
  return {
    cross: { ...cross, data: cross.data.slice() },
    own: { ...own, data: own.data.slice() },
    means: means.slice(),
  };
}
