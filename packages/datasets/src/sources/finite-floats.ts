import { notFinite } from "../errors.ts";

/**
 * Values as f32, all of them finite. f32 values are handed out as they are, not copied.
 *
 * @param values - [n, features]
 * @param options.features - numbers an example, > 0
 * @param options.source - name of the file, for messages
 * @throws ERR_NOT_FINITE naming the example and feature of the first value that is NaN, infinite or beyond f32, and how many there are
 */
export function finiteFloats(
  values: Float32Array | Float64Array,
  options: { features: number; source: string },
): Float32Array {
  const { features, source } = options;
  const floats = values instanceof Float32Array ? values : new Float32Array(values);
  let first = -1;
  let count = 0;
  let rows = 0;
  let lastRow = -1;
  for (let i = 0; i < floats.length; i++) {
    // x - x is 0 for every finite x and NaN otherwise.
    if (floats[i]! - floats[i]! === 0) continue;
    if (count++ === 0) first = i;
    const row = Math.floor(i / features);
    if (row !== lastRow) rows++;
    lastRow = row;
  }
  if (count === 0) return floats;
  throw notFinite({
    source,
    value: values[first]!,
    row: Math.floor(first / features),
    feature: first % features,
    count,
    rows,
  });
}
