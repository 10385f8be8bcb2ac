/** Exact Hessian-vector products of a small ReLU network with softmax cross-entropy, in f64: Pearlmutter's R-operator (1994). */

/** Layer widths, weights [out, in] flat one layer after the other, no biases. */
export interface SmallNetwork {
  readonly widths: readonly number[];
  readonly weights: Float64Array;
}

/** H v of the mean loss, and the gradient, over examples x [n][in] with labels. */
export function hessianProduct(
  { widths, weights }: SmallNetwork,
  data: { readonly x: readonly (readonly number[])[]; readonly labels: readonly number[] },
  v: Float64Array,
): { product: Float64Array; gradient: Float64Array } {
  const product = new Float64Array(weights.length);
  const gradient = new Float64Array(weights.length);
  data.x.forEach((input, example) => {
    // Values a and their derivatives r along v, layer by layer.
    const layers = [{ a: [...input], r: input.map(() => 0) }];
    let start = 0;
    for (let l = 1; l < widths.length; l++) {
      const below = layers[l - 1]!;
      const [a, r]: [number[], number[]] = [[], []];
      for (let o = 0; o < widths[l]!; o++) {
        let [sum, slope] = [0, 0];
        below.a.forEach((value, i) => {
          const j = start + o * below.a.length + i;
          sum += weights[j]! * value;
          slope += v[j]! * value + weights[j]! * below.r[i]!;
        });
        const active = l === widths.length - 1 || sum > 0;
        a.push(active ? sum : 0);
        r.push(active ? slope : 0);
      }
      layers.push({ a, r });
      start += widths[l]! * below.a.length;
    }
    const { a: logits, r: tangents } = layers[widths.length - 1]!;
    const most = Math.max(...logits);
    const powers = logits.map((z) => Math.exp(z - most));
    const total = powers.reduce((sum, e) => sum + e, 0);
    const p = powers.map((e) => e / total);
    const mean = p.reduce((sum, q, c) => sum + q * tangents[c]!, 0);
    let delta = p.map((q, c) => q - (c === data.labels[example] ? 1 : 0));
    let slope = p.map((q, c) => q * (tangents[c]! - mean));
    for (let l = widths.length - 1; l >= 1; l--) {
      const below = layers[l - 1]!;
      start -= widths[l]! * below.a.length;
      const [nextDelta, nextSlope] = [below.a.map(() => 0), below.a.map(() => 0)];
      delta.forEach((d, o) => {
        below.a.forEach((value, i) => {
          const j = start + o * below.a.length + i;
          gradient[j]! += (d * value) / data.x.length;
          product[j]! += (slope[o]! * value + d * below.r[i]!) / data.x.length;
          nextDelta[i]! += weights[j]! * d;
          nextSlope[i]! += v[j]! * d + weights[j]! * slope[o]!;
        });
      });
      delta = nextDelta.map((value, i) => (l === 1 || below.a[i]! > 0 ? value : 0));
      slope = nextSlope.map((value, i) => (l === 1 || below.a[i]! > 0 ? value : 0));
    }
  });
  return { product, gradient };
}
