/** Operators as chains of elementwise functions, which a backend runs in one pass over memory. */
import type { ElementwiseInput, ElementwiseStep, Pool, Vec } from "@secateur/core";
import { type Numbers, type Shape, stridesOf, type Value } from "../value.ts";

/** What an operator computes of its first inputs. Values of steps are numbered: inputs, then numbers, then earlier steps. */
export interface Program {
  /** How many of the operator's inputs take part. */
  readonly inputs: number;
  readonly numbers: readonly number[];
  readonly steps: readonly ElementwiseStep[];
}

/** An array that stretches to the shape of the result, or one that is read by strides of its own; or a number. */
export type ProgramInput =
  | number
  | { readonly data: Vec; readonly shape: Shape }
  | { readonly data: Vec; readonly strides: readonly number[]; readonly offset?: number };

/** Whether a pool's kernels run programs. Numbers in f64 are for comparisons, and stay with loops that are exact in f64. */
export function runsPrograms({ kernels, dtype }: Pool): boolean {
  return dtype === "f32" && kernels.elementwise !== undefined;
}

/** out = the last step over all places of a shape. */
export function runProgram(
  pool: Pool,
  at: { shape: Shape; inputs: readonly ProgramInput[]; steps: readonly ElementwiseStep[]; out: Vec },
): Vec {
  const { shape, steps, out } = at;
  const inputs = at.inputs.map((input): ElementwiseInput => {
    if (typeof input === "number" || "strides" in input) return input;
    return { data: input.data, strides: stretchedStrides(input.shape, shape) };
  });
  pool.kernels.elementwise!({ shape, inputs, steps, out });
  return out;
}

/** Strides of an array of `shape` along the axes of `full`, which it stretches to: 0 where it does. */
export function stretchedStrides(shape: Shape, full: Shape): readonly number[] {
  const offset = full.length - shape.length;
  const own = stridesOf(shape);
  return full.map((_, axis) => (axis < offset || shape[axis - offset] === 1 ? 0 : own[axis - offset]!));
}

/** Numbers of a value that programs read: truth values become 0 and 1. */
export function programNumbers({ data }: Value, pool: Pool): { readonly data: Vec; readonly isOwn: boolean } {
  if (data instanceof Float32Array) return { data, isOwn: false };
  const out = pool.take(data.length);
  out.set(data as Numbers);
  return { data: out, isOwn: true };
}
