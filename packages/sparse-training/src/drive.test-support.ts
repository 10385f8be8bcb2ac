/** A training by hand: weights, gradients that the test makes, plain gradient descent, and what was kept after every step. */
import {
  beginRules,
  createRunContext,
  type Mask,
  type Mat,
  matrix,
  type ParamInfo,
  type TrainingRule,
} from "@secateur/core";

/** Two layers of 40 and 20 weights that pruning may touch, and a bias. */
export const params: readonly ParamInfo[] = [
  { name: "a", shape: [5, 8], rows: 5, cols: 8, prunable: true, flopsPerWeight: 2 },
  { name: "bias", shape: [5], rows: 5, cols: 1, prunable: false, flopsPerWeight: 1 },
  { name: "b", shape: [4, 5], rows: 4, cols: 5, prunable: true, flopsPerWeight: 2 },
];

/** Normal weights, the same every time. */
export function weightsOf(seed = 1): Map<string, Mat> {
  const { rng } = createRunContext({ seed });
  return new Map(
    params.map(({ name, rows, cols }) => [
      name,
      matrix(
        rows,
        cols,
        Float64Array.from({ length: rows * cols }, () => rng.normal()),
      ),
    ]),
  );
}

/** What a step left. */
export interface Seen {
  readonly weights: ReadonlyMap<string, Float64Array>;
  readonly masks: ReadonlyMap<string, Mask>;
}

/**
 * Runs a rule over some steps.
 *
 * @param spec.gradient - of weight i of a parameter at a step; default: normal numbers
 * @returns what stood before the first step and after each
 */
export async function drive(spec: {
  rules: readonly TrainingRule[];
  steps: number;
  stepsPerEpoch: number;
  rate?: number;
  masks?: ReadonlyMap<string, Mask>;
  gradient?: (step: number, name: string, i: number) => number;
}): Promise<readonly Seen[]> {
  const { rules, steps, stepsPerEpoch, rate = 0.1, masks = new Map() } = spec;
  const ctx = createRunContext({ seed: 3 });
  const noise = ctx.rng.fork("gradients");
  const { gradient = () => noise.normal() } = spec;
  const weights = weightsOf();
  const run = beginRules({ rules, params, weights, masks, steps, stepsPerEpoch, ctx });
  const now = (): Seen => ({
    weights: new Map([...weights].map(([name, { data }]) => [name, Float64Array.from(data)])),
    masks: new Map([...run.masks].map(([name, mask]) => [name, mask.slice()])),
  });
  const seen = [now()];
  for (let step = 0; step < steps; step++) {
    const gradients = new Map(
      [...weights].map(([name, w]) => [
        name,
        { ...w, data: Float64Array.from(w.data, (_, i) => gradient(step, name, i)) },
      ]),
    );
    const at = { step, rate, gradients };
    run.beforeStep(at, ctx);
    for (const [name, { data: w }] of run.trained) {
      const g = run.trainedGradient(name, gradients.get(name)!).data;
      for (const i of run.kept.get(name) ?? w.keys()) w[i]! -= rate * g[i]!;
    }
    await run.afterStep({ ...at, step: step + 1 }, ctx);
    seen.push(now());
  }
  return seen;
}

/** Weights that the masks of prunable parameters keep. */
export function keptIn({ masks }: Seen): number {
  return ["a", "b"].reduce(
    (sum, name) => sum + (masks.get(name)?.reduce((kept, bit) => kept + bit, 0) ?? (name === "a" ? 40 : 20)),
    0,
  );
}
