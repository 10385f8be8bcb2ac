/** Computed numbers back to the element type that a file has. */
import type { Vec } from "@secateur/core";
import { badTensor } from "../errors.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import { isFloatDtype, tensorOf, toFloat64 } from "./convert.ts";

/**
 * Numbers as a tensor of the shape and type of another one, rounded as `tensorOf` does. Where a number is what the other tensor holds
 * there, its very bits are kept: signed zeros stay what they were. O(length) time.
 *
 * @param data - as many numbers as `like` has elements
 * @throws ERR_TENSOR for whole-number types, and for another number of elements
 */
export function asTensorLike(like: Tensor, data: Vec): Tensor {
  const { dtype, shape } = like;
  if (!isFloatDtype(dtype) || data.length !== elementCount(shape)) {
    const found = `${data.length} numbers for ${dtype} [${shape.join(", ")}]`;
    throw badTensor({ name: dtype, found, expected: "as many, and a type of floats" });
  }
  const made = tensorOf(data, { shape, dtype });
  if (made.dtype !== "f16" && made.dtype !== "bf16") return made;
  const before = toFloat64(like);
  const bits = like.data as Uint16Array;
  for (let i = 0; i < bits.length; i++) if (data[i] === before[i]) made.data[i] = bits[i]!;
  return made;
}
