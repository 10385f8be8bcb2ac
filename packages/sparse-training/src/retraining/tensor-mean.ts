/** A running mean of named tensors, and the names under which it stands in a state. */
import type { StateTensor } from "@secateur/core";

/** The name of the tensor that counts what has been added. */
const counter = "count";

/** Means of tensors by name. */
export interface TensorMean {
  /** Takes another network into the mean: sums in f64, in the order of the calls. */
  add(tensors: readonly StateTensor[]): void;
  /** The sums so far, and how many networks they are of under the name "count": for a state. */
  sums(): readonly StateTensor[];
  /** The mean, f64; nothing before the first network. */
  mean(): readonly StateTensor[];
}

/** @param saved - `sums()` of an earlier mean, to go on from to the same bytes */
export function createMean(saved: readonly StateTensor[]): TensorMean {
  let count = saved.find(({ name }) => name === counter)?.data[0] ?? 0;
  const sums = new Map<string, { shape: readonly number[]; data: Float64Array }>();
  for (const { name, shape, data } of saved) {
    if (name !== counter) sums.set(name, { shape, data: Float64Array.from(data) });
  }
  const over = (divisor: number): readonly StateTensor[] =>
    [...sums].map(([name, { shape, data }]) => ({ name, shape, data: data.map((sum) => sum / divisor) }));
  return {
    add(tensors) {
      count++;
      for (const { name, shape, data } of tensors) {
        const sum = sums.get(name)?.data ?? new Float64Array(data.length);
        for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + data[i]!;
        sums.set(name, { shape, data: sum });
      }
    },
    sums: () => [{ name: counter, shape: [1], data: Float64Array.of(count) }, ...over(1)],
    mean: () => over(count),
  };
}

/** Tensors whose names begin with a prefix, without it. */
export function namesUnder(prefix: string, tensors: readonly StateTensor[]): readonly StateTensor[] {
  return tensors
    .filter(({ name }) => name.startsWith(prefix))
    .map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }));
}

/** The others. */
export function withoutPrefix(prefix: string, tensors: readonly StateTensor[]): readonly StateTensor[] {
  return tensors.filter(({ name }) => !name.startsWith(prefix));
}
