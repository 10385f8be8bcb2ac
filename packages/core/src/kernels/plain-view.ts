import { dtypeOf, type Vec } from "../problem/matrix.ts";

/**
 * The same numbers as an array of the plain class: backends may hand out subclasses, and a loop that meets arrays of several classes is many
 * times slower. The view does not keep a backend's memory alive: hold on to the vector.
 */
export function plainView(vector: Vec): Vec {
  const { buffer, byteOffset, length } = vector;
  return dtypeOf(vector) === "f64"
    ? new Float64Array(buffer, byteOffset, length)
    : new Float32Array(buffer, byteOffset, length);
}
