/** What the kernel of chains walks along (assembly/chain.ts): lists of entries, made once for a chain. */
import {
  type Dtype,
  dtypeOf,
  type Mat,
  type PanelChain,
  panelWidth,
  type SparsePattern,
  type Vec,
  zeros,
} from "@secateur/core";

/** A list among the words of a program, in bytes from its begin. */
interface List {
  readonly begin: number;
  readonly end: number;
}

/** A list of a layer's weights, and where its values are, counted in numbers. */
interface WeightList extends List {
  readonly first: number;
}

/** The lists of one layer. */
interface LayerLists {
  /** Of the weights that take part; `first` counts entries. */
  readonly kept: WeightList;
  /** Of all its weights that are not 0, and of their transpose; absent for the first layer. */
  readonly forth?: WeightList;
  readonly back?: WeightList;
}

/** A chain as lists. */
export interface ChainProgram {
  readonly words: Uint32Array;
  /** Values of the weights, in the order of their lists. */
  readonly weights: Vec;
  readonly layers: readonly LayerLists[];
  /** Where each entry stands in flat vectors, in the order of the lists. */
  readonly places: Uint32Array;
  /** Multiply-adds of a panel there and back. */
  readonly work: number;
  /** Lines of all outputs of a panel. */
  readonly lineBytes: number;
}

/** Columns whose lines of 32 numbers fill a quarter of a first cache of 32 KiB. */
const blockBytes = 8192;

/** Conjugate gradients take dozens of products with one chain. */
const known = new WeakMap<PanelChain, ChainProgram>();

/** The lists of a chain, made once for as long as it lives. O(entries + weights) the first time. */
export function chainProgram(chain: PanelChain, dtype: Dtype): ChainProgram {
  const before = known.get(chain);
  // One layer without weights has no dtype of its own.
  if (before && dtypeOf(before.weights) === dtype) return before;
  const made = makeProgram(chain, dtype);
  known.set(chain, made);
  return made;
}

function makeProgram({ layers }: PanelChain, dtype: Dtype): ChainProgram {
  const lineBytes = panelWidth * (dtype === "f64" ? 8 : 4);
  const written: { words: Uint32Array; order: Uint32Array }[] = [];
  let [begin, entries] = [0, 0];
  const write = (pattern: SparsePattern): List & { order: Uint32Array } => {
    const list = listOf(pattern, lineBytes);
    written.push(list);
    begin += list.words.byteLength;
    return { begin: begin - list.words.byteLength, end: begin, order: list.order };
  };
  const places: Uint32Array[] = [];
  const values: Vec[] = [];
  let numbers = 0;
  const through = (W: Mat): WeightList => {
    const { pattern, values: own } = nonZeros(W);
    const { order, ...list } = write(pattern);
    values.push(Float64Array.from(order, (e) => own[e]!));
    numbers += own.length;
    return { ...list, first: numbers - own.length };
  };
  const lists = layers.map(({ pattern, start, weights }, l): LayerLists => {
    const { order, ...list } = write(pattern);
    places.push(order.map((e) => start + e));
    const kept = { ...list, first: entries };
    entries += order.length;
    return l === 0 ? { kept } : { kept, forth: through(weights!), back: through(transposed(weights!)) };
  });
  const outputs = layers.reduce((sum, { pattern }) => sum + pattern.rows, 0);
  const words = new Uint32Array(begin / 4);
  lay(
    written.map((list) => list.words),
    words,
  );
  const all = new Uint32Array(entries);
  lay(places, all);
  const weights = zeros(numbers, dtype);
  lay(values, weights);
  return {
    words,
    weights,
    layers: lists,
    places: all,
    work: panelWidth * (2 * entries + numbers),
    lineBytes: outputs * lineBytes,
  };
}

function lay<A extends Uint32Array | Vec>(parts: readonly A[], target: A): void {
  let at = 0;
  for (const part of parts) {
    target.set(part, at);
    at += part.length;
  }
}

/** Segments, block of columns by block, there by row; `order` is where each entry stands in the pattern. */
function listOf(
  { rows, cols, starts, columns }: SparsePattern,
  lineBytes: number,
): { words: Uint32Array; order: Uint32Array } {
  const block = Math.max(1, Math.floor(blockBytes / lineBytes));
  const words = new Uint32Array(columns.length + 2 * Math.min(columns.length, rows * Math.ceil(cols / block)));
  const order = new Uint32Array(columns.length);
  const next = starts.slice(0, rows);
  let [at, entry] = [0, 0];
  for (let end = block; entry < columns.length; end += block) {
    for (let row = 0; row < rows; row++) {
      const [from, stop] = [next[row]!, starts[row + 1]!];
      let e = from;
      for (; e < stop && columns[e]! < end; e++) {
        words[at + 2 + e - from] = columns[e]! * lineBytes;
        order[entry++] = e;
      }
      if (e === from) continue;
      words[at] = row * lineBytes;
      words[at + 1] = e - from;
      at += 2 + e - from;
      next[row] = e;
    }
  }
  return { words: words.slice(0, at), order };
}

/** The entries of a matrix that are not 0. */
function nonZeros({ rows, cols, data }: Mat): { pattern: SparsePattern; values: Vec } {
  const starts = new Uint32Array(rows + 1);
  const columns = new Uint32Array(data.length);
  const values = zeros(data.length, dtypeOf(data));
  let e = 0;
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < cols; i++) {
      const value = data[o * cols + i]!;
      if (value === 0) continue;
      columns[e] = i;
      values[e++] = value;
    }
    starts[o + 1] = e;
  }
  return { pattern: { rows, cols, starts, columns: columns.subarray(0, e) }, values: values.subarray(0, e) };
}

function transposed({ rows, cols, data }: Mat): Mat {
  const out = zeros(data.length, dtypeOf(data));
  for (let o = 0; o < rows; o++) for (let i = 0; i < cols; i++) out[i * rows + o] = data[o * cols + i]!;
  return { rows: cols, cols: rows, data: out };
}
