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

/** 1 where a prunable weight is not zero. */
export function masksOf(network: Network): ReadonlyMap<string, Mask> {
  const prunable = network.params().filter((param) => param.prunable);
  return new Map(
    prunable.map(({ name }) => [name, Uint8Array.from(network.weights.get(name)!.data, (x) => (x === 0 ? 0 : 1))]),
  );
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
