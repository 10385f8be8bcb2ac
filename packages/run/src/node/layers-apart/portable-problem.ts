/** A layer's problem and its solution as bytes, for another thread or machine. */
import {
  type Kernels,
  keepCount,
  keepOfEvery,
  type Mat,
  matrix,
  type Problem,
  type Vec,
  weightUnits,
  withoutRegrowth,
} from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "@secateur/formats";

/** Which sets of weights may stay: any `keep`, or `keep` of every `of` inputs of a row. */
interface PortableBudget {
  readonly keep: number;
  readonly of?: number;
}

/**
 * A problem whose H is written out and whose budget is a number of weights or a pattern, as bytes that depend on nothing else; undefined for others,
 * which are solved where they are.
 */
export function encodeProblem({ id, w, curvature, gradient, units, constraint }: Problem): Uint8Array | undefined {
  const H = curvature.gram?.();
  const { count, pattern } = constraint;
  const isWhole = pattern === undefined || pattern.cols === w.cols;
  if (!H || !units.perWeight || !isWhole || (!count && !pattern)) return undefined;
  const budget: PortableBudget = pattern ? { keep: pattern.keep, of: pattern.of } : { keep: count!.keep };
  const eligible = (count ?? pattern)!.eligible;
  const means = curvature.means?.();
  return encodeSafetensors({
    tensors: [
      tensorOf("w", w),
      tensorOf("H", H),
      ...(gradient ? [tensorOf("gradient", gradient)] : []),
      ...(means ? [tensorOf("means", matrix(1, means.length, means))] : []),
      ...(eligible ? [{ name: "eligible", shape: [eligible.length], dtype: "u8" as const, data: eligible }] : []),
    ],
    metadata: { id, budget: JSON.stringify(budget) },
  });
}

/** The problem again. @throws ERR_SAFETENSORS */
export function decodeProblem(bytes: Uint8Array, kernels: Kernels): Problem {
  const { tensors, metadata } = decodeSafetensors(bytes, "a layer's problem");
  const named = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const mat = (name: string): Mat | undefined => {
    const tensor = named.get(name);
    return tensor && matrix(tensor.shape[0]!, tensor.shape[1]!, (tensor.data as Vec).slice());
  };
  const [w, H, gradient, means] = ["w", "H", "gradient", "means"].map(mat);
  const { id, budget: text } = metadata as { id: string; budget: string };
  const { keep, of } = JSON.parse(text) as PortableBudget;
  const [count, cols] = [w!.data.length, w!.cols];
  const units = weightUnits(count);
  const budget = of === undefined ? keepCount({ count, keep, kernels }) : keepOfEvery({ count, cols, keep, of });
  const eligible = named.get("eligible")?.data as Uint8Array | undefined;
  return {
    ...{ id, w: w!, units, curvature: gramCurvature(H!, { kernels, ...(means ? { means: means.data } : {}) }) },
    ...(gradient ? { gradient } : {}),
    constraint: eligible ? withoutRegrowth(budget, eligible.slice()) : budget,
  };
}

/** Weights and mask of a solution. */
export function encodeWeights({ w, mask }: { w: Mat; mask: Uint8Array }): Uint8Array {
  const chosen = { name: "mask", shape: [mask.length], dtype: "u8" as const, data: mask };
  return encodeSafetensors({ tensors: [tensorOf("w", w), chosen], metadata: {} });
}

/** They again. @throws ERR_SAFETENSORS */
export function decodeWeights(bytes: Uint8Array): { w: Mat; mask: Uint8Array } {
  const { tensors } = decodeSafetensors(bytes, "a layer's weights");
  const [w, mask] = ["w", "mask"].map((name) => tensors.find((tensor) => tensor.name === name)!);
  return { w: matrix(w!.shape[0]!, w!.shape[1]!, (w!.data as Vec).slice()), mask: (mask!.data as Uint8Array).slice() };
}

function tensorOf(name: string, { rows, cols, data }: Mat): NamedTensor {
  return {
    name,
    shape: [rows, cols],
    ...(data instanceof Float64Array ? { dtype: "f64", data } : { dtype: "f32", data }),
  };
}
