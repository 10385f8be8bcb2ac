/** A training small enough to run hundreds of times: gradient descent with momentum on a quadratic loss, rules and all. */
import {
  applyMask,
  beginRules,
  createRunContext,
  type Mask,
  type Mat,
  matrix,
  type ParamInfo,
  type StateTensor,
  type TrainingRule,
} from "@secateur/core";

/** Two parameters that pruning may touch, of different shapes, and two that it may not: a bias, and the scale of a normalisation behind the first. */
export const tinyParams: readonly ParamInfo[] = [
  param("first.weight", [4, 6], true),
  param("first.bias", [4], false),
  { ...param("norm.weight", [4], false), isScale: true },
  param("second.weight", [3, 4], true),
];
/** Steps of an epoch, and epochs of a training. */
export const tinyStepsPerEpoch = 3;
export const tinyEpochs = 8;
const momentum = 0.9;
const rate = 0.05;

/** Weights and all that training remembers after an epoch. */
export interface TinyState {
  readonly epoch: number;
  readonly weights: readonly StateTensor[];
  readonly rules: readonly StateTensor[];
}

/** How a training ended. */
export interface TinyEnd {
  readonly weights: ReadonlyMap<string, Mat>;
  readonly masks: ReadonlyMap<string, Mask>;
  /** One after every epoch. */
  readonly states: readonly TinyState[];
}

/** Fresh weights, the same every time. */
export function tinyWeights(): ReadonlyMap<string, Mat> {
  const rng = createRunContext({ seed: 5 }).rng.fork("tiny training");
  return new Map(
    tinyParams.map(({ name, rows, cols }) => [
      name,
      matrix(
        rows,
        cols,
        Float64Array.from({ length: rows * cols }, () => rng.normal()),
      ),
    ]),
  );
}

/**
 * Trains w towards noisy targets, 1/2 |w - target|^2 a step.
 *
 * @param spec.seed - of the run's generator; default 0
 * @param spec.resume - a state to go on from
 * @param spec.masks - what is pruned from the start; default: nothing
 */
export async function tinyTraining(spec: {
  rule: TrainingRule;
  seed?: number;
  resume?: TinyState;
  masks?: ReadonlyMap<string, Mask>;
}): Promise<TinyEnd> {
  const { rule, seed = 0, resume, masks = new Map() } = spec;
  const ctx = createRunContext({ seed });
  const weights = tinyWeights();
  const velocity = new Map([...weights].map(([name]) => [name, new Float64Array()]));
  const run = beginRules({
    ...{ rules: [rule], params: tinyParams, weights, masks },
    ...{ steps: tinyEpochs * tinyStepsPerEpoch, stepsPerEpoch: tinyStepsPerEpoch, ctx },
    onMask(name, mask) {
      const data = velocity.get(name)!;
      if (data.length === mask.length) applyMask(matrix(1, data.length, data), mask);
    },
  });
  for (const [name, { data }] of run.trained) velocity.set(name, new Float64Array(data.length));
  if (resume) {
    for (const { name, data } of resume.weights) (weights.get(name)?.data ?? velocity.get(name.slice(2)))!.set(data);
    run.restore(resume.rules);
  }
  const states: TinyState[] = [];
  for (let epoch = resume?.epoch ?? 0; epoch < tinyEpochs; epoch++) {
    for (let s = 0; s < tinyStepsPerEpoch; s++) {
      const step = epoch * tinyStepsPerEpoch + s;
      const noise = ctx.rng.fork(`noise ${step}`);
      const gradients = new Map(
        [...weights].map(([name, w]) => [
          name,
          { ...w, data: w.data.map((value) => value - 1 + 0.3 * noise.normal()) },
        ]),
      );
      const at = { step, rate, gradients };
      run.beforeStep(at, ctx);
      for (const [name, { data: w }] of run.trained) {
        const v = velocity.get(name)!;
        const g = run.trainedGradient(name, gradients.get(name)!).data;
        const kept = run.kept.get(name);
        for (let k = 0; k < (kept?.length ?? w.length); k++) {
          const i = kept ? kept[k]! : k;
          v[i] = momentum * v[i]! + g[i]!;
          w[i]! -= rate * v[i]!;
        }
      }
      await run.afterStep({ ...at, step: step + 1 }, ctx);
    }
    states.push({ epoch: epoch + 1, weights: [...copies(weights), ...ofVelocity(velocity)], rules: run.capture() });
  }
  return { weights, masks: run.masks, states };
}

function copies(weights: ReadonlyMap<string, Mat>): readonly StateTensor[] {
  return [...weights].map(([name, { data }]) => ({ name, shape: [data.length], data: Float64Array.from(data) }));
}

function ofVelocity(velocity: ReadonlyMap<string, Float64Array>): readonly StateTensor[] {
  return [...velocity].map(([name, data]) => ({ name: `v/${name}`, shape: [data.length], data: data.slice() }));
}

function param(name: string, shape: readonly number[], prunable: boolean): ParamInfo {
  const rows = shape[0]!;
  return { name, shape, rows, cols: shape[1] ?? 1, prunable, flopsPerWeight: 2 };
}
