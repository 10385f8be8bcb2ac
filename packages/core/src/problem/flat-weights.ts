/** The prunable weights of a model as one flat vector: the order and the places of its parameters. */
import { assertFinite } from "../data/dataset.ts";
import type { Model, ParamInfo } from "../data/model.ts";
import { impossibleRun, unknownName } from "../errors.ts";
import type { Vec } from "./matrix.ts";

/** A parameter and where its weights start in the flat vector. */
export interface FlatParam extends ParamInfo {
  /** Index of its first weight in the flat vector. */
  readonly start: number;
  /** Number of its weights: rows * cols. */
  readonly size: number;
}

/** Lays out the named parameters (default: all prunable ones) one after the other. @throws ERR_UNKNOWN_NAME, ERR_IMPOSSIBLE */
export function layoutParams(model: Model, names?: readonly string[]): readonly FlatParam[] {
  const all = model.params();
  for (const name of names ?? []) {
    if (!all.some((param) => param.name === name)) {
      throw unknownName({ where: model.name, what: "parameter", found: name, known: all.map((param) => param.name) });
    }
  }
  let start = 0;
  const chosen: FlatParam[] = [];
  for (const param of all) {
    if (names ? !names.includes(param.name) : !param.prunable) continue;
    const size = param.rows * param.cols;
    chosen.push({ ...param, start, size });
    start += size;
  }
  if (start === 0)
    throw impossibleRun(`${model.name}: it has no prunable weights; name the parameters to prune`, {
      name: model.name,
    });
  return chosen;
}

/** Multiply-adds of a forward pass of one example per weight. */
export function weightReuse(params: readonly FlatParam[]): number {
  const macs = params.reduce((sum, { flopsPerWeight, size }) => sum + (flopsPerWeight / 2) * size, 0);
  return macs / params.reduce((sum, { size }) => sum + size, 0);
}

/** Reads the parameters into one vector. @throws ERR_NOT_FINITE naming the parameter */
export async function readFlat(model: Model, params: readonly FlatParam[]): Promise<Float32Array> {
  const last = params[params.length - 1]!;
  const flat = new Float32Array(last.start + last.size);
  for (const param of params) {
    const { data } = await model.read(param.name);
    assertFinite(
      `weights '${param.name}'`,
      data,
      "the checkpoint is damaged or its training diverged; use a healthy one",
    );
    flat.set(data, param.start);
  }
  return flat;
}

/** Writes one vector [p] back into the parameters. */
export async function writeFlat(model: Model, params: readonly FlatParam[], flat: Vec): Promise<void> {
  for (const param of params) {
    const data = Float32Array.from(flat.subarray(param.start, param.start + param.size));
    await model.write(param.name, { rows: param.rows, cols: param.cols, data });
  }
}

/** Number of entries of a vector [n] that are exactly zero. */
export function countZeros(values: ArrayLike<number>): number {
  let zeros = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === 0) zeros++;
  return zeros;
}
