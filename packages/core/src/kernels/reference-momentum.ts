/** A step of gradient descent with momentum (Polyak 1964), as torch's SGD takes it. */
import type { Vec } from "../problem/matrix.ts";
import { checkElementwise } from "./kernel-shapes.ts";
import type { MomentumStepSpec } from "./kernels.ts";

/**
 * Two loops that write to one array each: where one loop writes to both, some processors take a load for that of what was just stored, and a step takes two to
 * five times as long. The bytes are the same.
 *
 * @throws RangeError unless all vectors have one length and one dtype
 */
export function momentumStep(spec: MomentumStepSpec): void {
  const { w, velocity, gradient, rate } = spec;
  checkElementwise("momentumStep", w, velocity, gradient);
  accumulate(spec);
  descend(w, velocity, rate);
}

function accumulate({ w, velocity: v, gradient: g, momentum, decay }: MomentumStepSpec): void {
  for (let i = 0; i < v.length; i++) v[i] = momentum * v[i]! + (g[i]! + decay * w[i]!);
}

function descend(w: Vec, v: Vec, rate: number): void {
  for (let i = 0; i < w.length; i++) w[i] = w[i]! - rate * v[i]!;
}
