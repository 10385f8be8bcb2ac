/** Which weights are not zero. A masked tensor says so as it is decoded, so that nobody has to look at all of its weights again. */

/** Places of nonzeros by the array that has them, for as long as that is in use. Nobody changes weights in place. */
const known = new WeakMap<Float32Array, Uint32Array>();

/** Places of all weights that are not 0 or -0, in ascending order; among them may be some that became zero as they were scaled. */
export function nonzerosOf(weights: Float32Array): Uint32Array {
  const found = known.get(weights) ?? findNonzeros(weights);
  known.set(weights, found);
  return found;
}

/** Says where `weights` are not zero. @param places - in ascending order; none may be missing */
export function knowNonzeros(weights: Float32Array, places: Uint32Array): void {
  known.set(weights, places);
}

/**
 * Weights times a factor a row, at their nonzeros alone.
 *
 * @param weights - [rows, ...] @param factorOf - of a row
 */
export function scaleRows(weights: Float32Array, rows: number, factorOf: (row: number) => number): Float32Array {
  const places = nonzerosOf(weights);
  const out = new Float32Array(weights.length);
  const length = weights.length / rows;
  for (let row = 0, k = 0; row < rows; row++) {
    const factor = factorOf(row);
    for (const end = (row + 1) * length; k < places.length && places[k]! < end; k++)
      out[places[k]!] = factor * weights[places[k]!]!;
  }
  known.set(out, places);
  return out;
}

/** For every row where its nonzeros begin among all, and their number at the end [rows + 1]. */
export function rowStarts(places: Uint32Array, rows: number, length: number): Uint32Array {
  const starts = new Uint32Array(rows + 1);
  for (let row = 0, k = 0; row < rows; row++) {
    for (const end = (row + 1) * length; k < places.length && places[k]! < end; ) k++;
    starts[row + 1] = k;
  }
  return starts;
}

function findNonzeros(weights: Float32Array): Uint32Array {
  const bits = new Int32Array(weights.buffer, weights.byteOffset, weights.length);
  const places = new Uint32Array(bits.length);
  let count = 0;
  for (let i = 0; i < bits.length; i++) {
    // Written over by the next one where it is zero: processors guess wrong at every other branch on a random mask.
    places[count] = i;
    const size = bits[i]! << 1;
    count += (size | -size) >>> 31;
  }
  return places.slice(0, count);
}
