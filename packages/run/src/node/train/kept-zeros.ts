/** Zeros of a network that is trained on: those of pruning stay. */
import { countZeros, type Mask, type RunEvent } from "@secateur/core";
import type { Network } from "@secateur/nn";

/** Fewer zeros than this come by chance or from a dead unit. */
const PRUNED_SHARE = 0.1;

/** Whether so many weights are zero that a network must have been pruned. */
export function isPruned(network: Network): boolean {
  const { prunable, nonzeros } = countsOf(network);
  return nonzeros < prunable && prunable - nonzeros >= PRUNED_SHARE * prunable;
}

/** How many weights may be pruned, and how many of them are not zero. */
export function countsOf(network: Network): { readonly prunable: number; readonly nonzeros: number } {
  let [prunable, nonzeros] = [0, 0];
  for (const param of network.params()) {
    if (!param.prunable) continue;
    const { data } = network.weights.get(param.name)!;
    prunable += data.length;
    nonzeros += data.length - countZeros(data);
  }
  return { prunable, nonzeros };
}

/**
 * 1 where a prunable weight is not zero. The bias of a row without weights stays 0 where it is, and so do scale and shift of a normalised channel where
 * both are and the row in front is without weights: a channel that pruning took away would else come back as a constant, which `cut` cannot always take out. Where
 * the row has weights, both at 0 are how a residual branch starts, and train.
 */
export function masksOf(network: Network): ReadonlyMap<string, Mask> {
  const masks = new Map<string, Mask>();
  const find = (name: string): Float32Array | Float64Array | undefined => network.weights.get(name)?.data;
  /** The weight last seen: the one in front of a normalisation, where its rows are the channels. */
  let inFront: { readonly rows: number; isGone(row: number): boolean } | undefined;
  const scales = new Set(network.spec.layers.flatMap(({ kind, name }) => (kind === "batch-norm" ? [name] : [])));
  for (const { name, prunable, rows, cols } of network.params()) {
    const norm = name.replace(/\.weight$/, "");
    if (norm !== name && scales.has(norm)) {
      const pair = [name, `${norm}.bias`] as const;
      const [scale, shift] = [find(pair[0])!, find(pair[1])!];
      const weight = inFront?.rows === scale.length ? inFront : undefined;
      const isHeld = (c: number): boolean => scale[c] === 0 && shift[c] === 0 && (weight?.isGone(c) ?? true);
      const held = Uint8Array.from(scale, (_, c) => (isHeld(c) ? 0 : 1));
      for (const one of pair) masks.set(one, held.slice());
      continue;
    }
    if (!prunable) continue;
    const weights = find(name)!;
    const isGone = (row: number): boolean => countZeros(weights.subarray(row * cols, (row + 1) * cols)) === cols;
    inFront = { rows, isGone };
    masks.set(
      name,
      Uint8Array.from(weights, (x) => (x === 0 ? 0 : 1)),
    );
    const offset = name.replace(/\.weight$/, ".bias");
    const bias = offset === name ? undefined : find(offset);
    if (bias?.length !== rows) continue;
    masks.set(
      offset,
      Uint8Array.from(bias, (x, row) => (x === 0 && isGone(row) ? 0 : 1)),
    );
  }
  return masks;
}

/** How many prunable weights masks keep; all of a layer without one. */
export function keptBy(network: Network, masks: ReadonlyMap<string, Mask>): number {
  return network.params().reduce((sum, { name, prunable, rows, cols }) => {
    const mask = masks.get(name);
    return sum + (prunable ? (mask ? mask.reduce((kept, bit) => kept + bit, 0) : rows * cols) : 0);
  }, 0);
}

/** Says where masks keep weights that are 0 all the same. */
export function noteZerosKept(spec: {
  network: Network;
  masks: ReadonlyMap<string, Mask>;
  onEvent: (event: RunEvent) => void;
}): void {
  const { network, masks, onEvent } = spec;
  if (masks.size === 0) return;
  const [kept, { nonzeros }] = [keptBy(network, masks), countsOf(network)];
  if (nonzeros >= kept) return;
  const message = `${kept} weights are kept and ${kept - nonzeros} of them are 0: they came back to inputs that are always 0, or never moved`;
  onEvent({ type: "note", level: "info", code: "zeros-kept", message });
}
