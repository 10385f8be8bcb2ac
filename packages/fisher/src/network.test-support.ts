import { arrayDataset, createRng, type Dataset, type EstimateRequest, type Mat, matrix } from "@secateur/core";
import { createNetwork, mlp, type Network } from "@secateur/nn";

export { countingContext } from "@secateur/conformance";

/** Random normal inputs [size, features] in f64 with random labels. */
export function randomData(spec: { size: number; features: number; classes: number; seed?: number }): Dataset {
  const { size, features, classes, seed = 0 } = spec;
  const rng = createRng(`data ${seed}`);
  const inputs = Float64Array.from({ length: size * features }, () => rng.normal());
  const labels = Uint32Array.from({ length: size }, () => rng.integer(classes));
  return arrayDataset({ inputs: matrix(size, features, inputs), labels, classes, name: "random" });
}

/** A network in f64 with non-zero biases. */
export function randomNetwork(sizes: readonly number[]): Network {
  const network = createNetwork(mlp({ sizes }), { seed: 3, dtype: "f64" });
  const rng = createRng("biases");
  for (const [name, { data }] of network.weights) {
    if (name.endsWith(".bias")) for (let j = 0; j < data.length; j++) data[j] = 0.3 * rng.normal();
  }
  return network;
}

/** All parameters of a network, in order. */
export const allParams = (network: Network): string[] => network.params().map(({ name }) => name);

/** What an estimator is asked, with all of the data. */
export function requestFor(network: Network, data: Dataset, overrides: Partial<EstimateRequest> = {}): EstimateRequest {
  return { model: network, data, params: allParams(network), examples: data.size, batch: 1, ...overrides };
}

/** The dense matrix [rows, cols] of a linear map, column by column. */
export async function denseOf(
  rows: number,
  cols: number,
  map: (x: Float64Array, out: Float64Array) => void | Promise<void>,
): Promise<Mat> {
  const dense = matrix(rows, cols, new Float64Array(rows * cols));
  for (let j = 0; j < cols; j++) {
    const out = new Float64Array(rows);
    await map(
      Float64Array.from({ length: cols }, (_, i) => (i === j ? 1 : 0)),
      out,
    );
    for (let i = 0; i < rows; i++) dense.data[i * cols + j] = out[i]!;
  }
  return dense;
}

/** The largest difference between two lists of numbers. */
export function gap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}
