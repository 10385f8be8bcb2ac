import { notFinite } from "../errors.ts";
import { halfToNumber } from "../files/convert.ts";
import type { NamedTensor, Tensor } from "../tensor.ts";
import { quote } from "./quote.ts";

/** The NaN and infinite numbers of a tensor. */
export interface NonFinite {
  /** how many there are, >= 1 */
  readonly count: number;
  /** flat row-major index of the first */
  readonly index: number;
  /** the first: NaN, Infinity or -Infinity */
  readonly value: number;
}

/** Finds NaN and infinite numbers; undefined where all are finite, as in every integer tensor. O(length), no copy. */
export function findNonFinite(tensor: Tensor): NonFinite | undefined {
  switch (tensor.dtype) {
    case "f32":
    case "f64":
      return scanNumbers(tensor.data);
    case "f16":
      return scanBits({ bits: tensor.data, exponentMask: 0x7c00, toNumber: halfToNumber });
    case "bf16":
      return scanBits({ bits: tensor.data, exponentMask: 0x7f80, toNumber: bfloat16ToNonFinite });
    default:
      return undefined;
  }
}

/**
 * Refuses tensors with NaN or infinite numbers.
 *
 * @param tensors - looked at in order; the first with such a number is reported
 * @param source - name of the file, for the message
 * @throws ERR_NOT_FINITE naming the tensor, the first such number, its index, and how many there are
 * @example
 * assertFiniteTensors(checkpoint.tensors, "model.safetensors");
 */
export function assertFiniteTensors(tensors: Iterable<NamedTensor>, source: string): void {
  for (const tensor of tensors) {
    const found = findNonFinite(tensor);
    if (found === undefined) continue;
    throw notFinite({
      ...found,
      where: `${source}: tensor ${quote(tensor.name)}`,
      position: tensor.shape.length > 1 ? ` (position [${unravel(found.index, tensor.shape).join(", ")}])` : "",
      size: tensor.data.length,
    });
  }
}

function scanNumbers(data: Float32Array | Float64Array): NonFinite | undefined {
  let count = 0;
  let index = -1;
  for (let i = 0; i < data.length; i++) {
    // x - x is 0 for every finite x and NaN otherwise.
    if (data[i]! - data[i]! !== 0) {
      if (count === 0) index = i;
      count++;
    }
  }
  return count === 0 ? undefined : { count, index, value: data[index]! };
}

/** In every IEEE format a number is not finite exactly when all its exponent bits are set. */
function scanBits(spec: {
  bits: Uint16Array;
  exponentMask: number;
  toNumber: (bits: number) => number;
}): NonFinite | undefined {
  const { bits, exponentMask, toNumber } = spec;
  let count = 0;
  let index = -1;
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & exponentMask) === exponentMask) {
      if (count === 0) index = i;
      count++;
    }
  }
  return count === 0 ? undefined : { count, index, value: toNumber(bits[index]!) };
}

function bfloat16ToNonFinite(bits: number): number {
  if ((bits & 0x7f) !== 0) return Number.NaN;
  return bits & 0x8000 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** The position [i0, i1, ...] of a flat row-major index. */
function unravel(index: number, shape: readonly number[]): number[] {
  const position: number[] = [];
  let rest = index;
  for (const extent of [...shape].reverse()) {
    position.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return position;
}
