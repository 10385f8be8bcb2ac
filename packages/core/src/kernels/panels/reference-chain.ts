/** Products of a chain of dense layers over some of its weights, by their definition: layer after layer, for all panels. */
import { dtypeOf, type Vec, zeros } from "../../problem/matrix.ts";
import { checkApart, checkSameDtype } from "../operand-checks.ts";
import {
  type ChainGramSpec,
  type ChainSquaresSpec,
  type ChainTimesSpec,
  type ChainTransposeTimesSpec,
  type PanelChain,
  type PanelLayer,
  panelWidth,
} from "./panel-specs.ts";
import { checkPattern, panelProducts, sparseTimes } from "./reference-sparse.ts";

/**
 * @param vectors.flat - one number an entry
 * @param vectors.outputs - one number an output of the last layer
 * @param vectors.out - which of them is written while the chain is read
 * @param vectors.readsInputs - default true
 * @throws RangeError for a chain whose layers do not fit, or vectors that do not fit it
 */
export function checkChain(
  who: string,
  chain: PanelChain,
  vectors: { flat: readonly Vec[]; outputs: Vec; out?: Vec; readsInputs?: boolean },
): void {
  const { count, size, layers } = chain;
  const { readsInputs = true, out } = vectors;
  const panels = (vector: Vec | undefined, features: number, isNeeded = false): boolean =>
    vector === undefined ? !isNeeded : vector.length === count * features * panelWidth;
  for (const [l, { inputs, pattern, start, weights, gate }] of layers.entries()) {
    checkPattern(who, pattern);
    const { rows, cols, columns } = pattern;
    const follows =
      l === 0 || (layers[l - 1]!.pattern.rows === cols && weights?.rows === rows && weights.cols === cols);
    const isInside = start >= 0 && start + columns.length <= size;
    if (!follows || !isInside || !panels(inputs, cols, readsInputs) || !panels(gate, rows)) {
      throw new RangeError(`${who}: layer ${l} does not fit the chain`);
    }
  }
  const outputs = layers.at(-1)?.pattern.rows;
  const areFlat = vectors.flat.every(({ length }) => length === size);
  if (outputs === undefined || !areFlat || !panels(vectors.outputs, outputs)) {
    throw new RangeError(`${who}: operands do not fit`);
  }
  const read = layers
    .flatMap(({ inputs, gate, weights }) => [inputs, gate, weights?.data])
    .filter((x) => x !== undefined);
  checkSameDtype(who, vectors.outputs, ...vectors.flat, ...read);
  if (out) for (const one of read) checkApart(who, out, one);
  if (out && out !== vectors.outputs) checkApart(who, out, vectors.outputs);
}

/** out = J x */
export function chainTimes({ chain, x, out }: ChainTimesSpec): void {
  checkChain("chainTimes", chain, { flat: [x], outputs: out, out });
  const { count, layers } = chain;
  let before: Vec | undefined;
  for (const layer of layers) {
    const { inputs, pattern } = layer;
    const t = zeros(count * pattern.rows * panelWidth, dtypeOf(out));
    sparseTimes({ pattern, values: valuesOf(layer, x), count, b: inputs!, out: t });
    if (before) addThrough(layer, count, { from: before, to: t, back: false });
    close(layer, t);
    before = t;
  }
  out.set(before!);
}

/** out = J'u */
export function chainTransposeTimes({ chain, u, out }: ChainTransposeTimesSpec): void {
  checkChain("chainTransposeTimes", chain, { flat: [out], outputs: u, out });
  const { count, layers } = chain;
  let delta = u.slice() as Vec;
  for (const [l, layer] of [...layers.entries()].reverse()) {
    const { inputs, pattern } = layer;
    close(layer, delta);
    panelProducts({ pattern, count, a: delta, b: inputs!, out: valuesOf(layer, out) });
    if (l === 0) break;
    const previous = zeros(count * pattern.cols * panelWidth, dtypeOf(u));
    addThrough(layer, count, { from: delta, to: previous, back: true });
    delta = previous;
  }
}

/** out = J'(diag(p) - p p')J x */
export function chainGram({ chain, x, probabilities: p, out }: ChainGramSpec): void {
  checkChain("chainGram", chain, { flat: [x, out], outputs: p, out });
  const t = zeros(p.length, dtypeOf(p));
  chainTimes({ chain, x, out: t });
  const size = p.length / chain.count;
  for (let panel = 0; panel < p.length; panel += size) {
    for (let i = panel; i < panel + panelWidth; i++) {
      // Beside the likeliest class: where p is nearly 1, t less its mean would be rounding.
      let most = i;
      for (let c = i; c < panel + size; c += panelWidth) if (p[c]! > p[most]!) most = c;
      const likeliest = t[most]!;
      let mean = 0;
      for (let c = i; c < panel + size; c += panelWidth) {
        t[c]! -= likeliest;
        mean += p[c]! * t[c]!;
      }
      for (let c = i; c < panel + size; c += panelWidth) t[c] = p[c]! * (t[c]! - mean);
    }
  }
  chainTransposeTimes({ chain, u: t, out });
}

/** out_l = diag(D'B D) with B = R R': the sum over the columns of R of the squares of the deltas that they give. */
export function chainSquares({ chain, probabilities: p, out }: ChainSquaresSpec): void {
  checkChainSquares({ chain, probabilities: p, out });
  const { count, layers } = chain;
  const { rows: classes } = layers.at(-1)!.pattern;
  for (const sums of out) sums.fill(0);
  for (let c = 0; c < classes; c++) {
    let delta = rootColumn(p, { c, classes });
    for (const [l, layer] of [...layers.entries()].reverse()) {
      close(layer, delta);
      delta.forEach((value: number, i: number) => {
        out[l]![i]! += value * value;
      });
      if (l === 0) break;
      const previous = zeros(count * layer.pattern.cols * panelWidth, dtypeOf(p));
      addThrough(layer, count, { from: delta, to: previous, back: true });
      delta = previous;
    }
  }
}

/** @throws RangeError unless the chain and its vectors fit, one for the outputs of every layer */
export function checkChainSquares({ chain, probabilities, out }: ChainSquaresSpec): void {
  checkChain("chainSquares", chain, { flat: [], outputs: probabilities, readsInputs: false });
  const { count, layers } = chain;
  checkSameDtype("chainSquares", probabilities, ...out);
  const read = layers.flatMap(({ gate, weights }) => [...(gate ? [gate] : []), ...(weights ? [weights.data] : [])]);
  for (const [l, one] of out.entries()) {
    for (const other of [probabilities, ...read, ...out.slice(l + 1)]) checkApart("chainSquares", one, other);
  }
  const fits = layers.every(({ pattern }, l) => out[l]?.length === count * pattern.rows * panelWidth);
  if (!fits || out.length !== layers.length) throw new RangeError("chainSquares: operands do not fit");
}

/** sqrt(p_c) (e_c - p) of every example in panels; 1 - p_c is the sum of the others, which keeps its digits. */
function rootColumn(p: Vec, { c, classes }: { c: number; classes: number }): Vec {
  const out = zeros(p.length, dtypeOf(p));
  const size = classes * panelWidth;
  for (let panel = 0; panel < p.length; panel += size) {
    for (let i = panel; i < panel + panelWidth; i++) {
      const own = i + c * panelWidth;
      const root = Math.sqrt(p[own]!);
      let others = 0;
      for (let at = i; at < panel + size; at += panelWidth) {
        if (at === own) continue;
        out[at] = -root * p[at]!;
        others += root * p[at]!;
      }
      out[own] = others;
    }
  }
  return out;
}

function valuesOf({ pattern, start }: PanelLayer, flat: Vec): Vec {
  return flat.subarray(start, start + pattern.columns.length);
}

/** Adds W t to the layer's outputs, or W'delta to what it was given. */
function addThrough(
  { pattern: { rows, cols }, weights }: PanelLayer,
  count: number,
  { from, to, back }: { from: Vec; to: Vec; back: boolean },
): void {
  const W = weights!.data;
  for (let p = 0; p < count; p++) {
    for (let o = 0; o < rows; o++) {
      for (let i = 0; i < cols; i++) {
        const [source, target] = back ? [p * rows + o, p * cols + i] : [p * cols + i, p * rows + o];
        for (let k = 0; k < panelWidth; k++)
          to[target * panelWidth + k]! += W[o * cols + i]! * from[source * panelWidth + k]!;
      }
    }
  }
}

/** What meets no number above 0 behind the layer becomes 0. */
function close({ gate }: PanelLayer, t: Vec): void {
  if (gate) for (let i = 0; i < t.length; i++) if (!(gate[i]! > 0)) t[i] = 0;
}
