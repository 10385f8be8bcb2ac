/** Plain stacks of dense layers, told from the shapes of their weights. */
import type { ShapedName } from "./shaped-name.ts";

/** The sizes of a stack of dense layers: features of the input, of each layer in turn, classes. */
export interface DenseStack {
  readonly sizes: readonly number[];
  /** whether every layer has a bias */
  readonly bias: boolean;
}

/** Far deeper than any stack that trains. */
const MAX_LAYERS = 1000;

/**
 * Tells a stack of dense layers: matrices [out, in] that follow each other in exactly one order, all with a bias [out] or
 * none. Names do not matter, but for those that numbers in them order where shapes do not.
 *
 * @returns undefined for tensors that are anything else, or that follow each other in several orders
 */
export function denseStack(tensors: readonly ShapedName[]): DenseStack | undefined {
  const weights = tensors.filter(({ shape }) => shape.length === 2);
  const vectors = tensors.filter(({ shape }) => shape.length === 1);
  if (weights.length === 0 || weights.length > MAX_LAYERS) return undefined;
  if (weights.length + vectors.length !== tensors.length) return undefined;
  if (vectors.length !== 0 && vectors.length !== weights.length) return undefined;
  const order = chain(weights);
  if (order === undefined) return undefined;
  const sizes = [order[0]!.shape[1]!, ...order.map(({ shape }) => shape[0]!)];
  const lengths = (list: readonly (number | undefined)[]): string => [...list].sort().join();
  const fits = vectors.length === 0 || lengths(vectors.map(({ shape }) => shape[0])) === lengths(sizes.slice(1));
  return fits && !sizes.includes(0) ? { sizes, bias: vectors.length > 0 } : undefined;
}

/** The one order in which each matrix takes what the one before it gives. */
function chain(weights: readonly ShapedName[]): readonly ShapedName[] | undefined {
  const byInput = new Map<number, ShapedName[]>();
  const outputs = new Set(weights.map(({ shape }) => shape[0]!));
  for (const weight of weights) byInput.set(weight.shape[1]!, [...(byInput.get(weight.shape[1]!) ?? []), weight]);
  const isSimple = [...byInput.values()].every((list) => list.length === 1);
  if (isSimple) {
    const starts = weights.filter(({ shape }) => !outputs.has(shape[1]!));
    return starts.length === 1 ? followed(starts[0]!, byInput, weights.length) : undefined;
  }
  // Equal shapes: the numbers in the names, which then have to fit.
  const natural = [...weights].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const isChain = natural.every(({ shape }, i) => i === 0 || shape[1] === natural[i - 1]!.shape[0]);
  const isNumbered = new Set(weights.map(({ name }) => name.replace(/\d+/g, "#"))).size === 1;
  return isChain && isNumbered ? natural : undefined;
}

function followed(
  start: ShapedName,
  byInput: ReadonlyMap<number, readonly ShapedName[]>,
  count: number,
): readonly ShapedName[] | undefined {
  const order = [start];
  while (order.length < count) {
    const next = byInput.get(order.at(-1)!.shape[0]!)?.[0];
    if (next === undefined || order.includes(next)) return undefined;
    order.push(next);
  }
  return order;
}
