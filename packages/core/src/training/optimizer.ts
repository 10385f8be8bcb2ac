/**
 * Steps of gradient descent, g the gradient of the batch's mean loss, t the step counted from 1:
 *   sgd (Polyak 1964, as PyTorch implements it): v = m v + g + wd w, w -= lr v; Nesterov: w -= lr (g + wd w + m v)
 *   adamw (Loshchilov and Hutter 2019): w -= lr wd w; a = b1 a + (1 - b1) g, q = b2 q + (1 - b2) g^2,
 *     w -= lr (a / (1 - b1^t)) / (sqrt(q / (1 - b2^t)) + epsilon)
 *   adam (Kingma and Ba 2015): the same with wd w added to g instead.
 * Weight decay applies to weights, not to biases or normalisation. A masked parameter's step visits its kept weights only:
 * the others stay 0 with all that is remembered of them, and a mask makes a step no slower.
 */
import type { Kernels } from "../kernels/kernels.ts";
import { momentumStep } from "../kernels/reference-momentum.ts";
import type { Mat, Vec } from "../problem/matrix.ts";

/** Which steps to take. */
export type OptimizerSpec =
  | {
      readonly kind: "sgd";
      /** In [0, 1); default 0.9. */
      readonly momentum?: number;
      /** Default false. */
      readonly nesterov?: boolean;
    }
  | {
      readonly kind: "adam" | "adamw";
      /** In [0, 1); default [0.9, 0.999]. */
      readonly betas?: readonly [number, number];
      /** Default 1e-8. */
      readonly epsilon?: number;
    };

/** What an optimizer remembers of each parameter: "velocity" for sgd; "mean" and "square" for adam. */
export type OptimizerMemory = ReadonlyMap<string, ReadonlyMap<string, Mat>>;

/** Empty memory for the given parameters. @param room - a vector of the length and dtype of a parameter; default: a new one */
export function createMoments(
  spec: OptimizerSpec,
  weights: ReadonlyMap<string, Mat>,
  names: readonly string[],
  room: (w: Mat) => Vec = ({ data }) => data.slice(),
): OptimizerMemory {
  const kinds = spec.kind === "sgd" ? ["velocity"] : ["mean", "square"];
  return new Map(
    kinds.map((kind) => [
      kind,
      new Map(
        names.map((name) => {
          const w = weights.get(name)!;
          return [name, { ...w, data: room(w).fill(0) }];
        }),
      ),
    ]),
  );
}

/** One parameter's step. */
export interface ParamStep {
  readonly w: Mat;
  /** The gradient of the mean loss, of all entries or of the kept ones alone, in their order. */
  readonly g: Mat;
  readonly moments: OptimizerMemory;
  readonly name: string;
  readonly rate: number;
  /** Steps done before this one. */
  readonly step: number;
  readonly decay: number;
  /** Places of the weights that move; undefined: all of them. */
  readonly kept: Uint32Array | undefined;
  /** What takes plain steps; default: loops in TypeScript, to the same bytes. */
  readonly kernels?: Kernels;
}

/** Moves one parameter. @throws RangeError unless w, what is remembered of it and, of all entries, its gradient have one length and one dtype */
export function stepParam(spec: OptimizerSpec, call: ParamStep): void {
  if (spec.kind === "sgd") sgdStep(spec, call);
  else adamStep(spec, call);
}

function sgdStep(spec: Extract<OptimizerSpec, { kind: "sgd" }>, call: ParamStep): void {
  const { momentum = 0.9, nesterov = false } = spec;
  const [w, v, g] = [call.w.data, call.moments.get("velocity")!.get(call.name)!.data, call.g.data];
  const { rate, decay, kept } = call;
  if (!kept && !nesterov) {
    const step = call.kernels?.momentumStep ?? momentumStep;
    step({ w, velocity: v, gradient: g, momentum, decay, rate });
    return;
  }
  const count = kept?.length ?? w.length;
  const isKeptOnly = g.length !== w.length;
  for (let s = 0; s < count; s++) {
    const i = kept ? kept[s]! : s;
    const slope = g[isKeptOnly ? s : i]! + decay * w[i]!;
    v[i] = momentum * v[i]! + slope;
    w[i] = w[i]! - rate * (nesterov ? slope + momentum * v[i]! : v[i]!);
  }
}

function adamStep(spec: Exclude<OptimizerSpec, { kind: "sgd" }>, call: ParamStep): void {
  const { betas: [b1, b2] = [0.9, 0.999], epsilon = 1e-8 } = spec;
  const [w, g] = [call.w.data, call.g.data];
  const [a, q] = [call.moments.get("mean")!.get(call.name)!.data, call.moments.get("square")!.get(call.name)!.data];
  const { rate, decay, kept } = call;
  const count = kept?.length ?? w.length;
  const isDecoupled = spec.kind === "adamw";
  const isKeptOnly = g.length !== w.length;
  const [first, second] = [1 - b1 ** (call.step + 1), 1 - b2 ** (call.step + 1)];
  for (let s = 0; s < count; s++) {
    const i = kept ? kept[s]! : s;
    const own = g[isKeptOnly ? s : i]!;
    const slope = isDecoupled ? own : own + decay * w[i]!;
    a[i] = b1 * a[i]! + (1 - b1) * slope;
    q[i] = b2 * q[i]! + (1 - b2) * slope * slope;
    const shrunk = isDecoupled ? w[i]! - rate * decay * w[i]! : w[i]!;
    w[i] = shrunk - (rate * (a[i]! / first)) / (Math.sqrt(q[i]! / second) + epsilon);
  }
}
