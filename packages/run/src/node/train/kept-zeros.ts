/** Zeros of a network that is trained on: those of pruning stay. */
import { countZeros, type Mask } from "@secateur/core";
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
