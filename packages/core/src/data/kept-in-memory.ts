import { batchDataset, type Dataset } from "./dataset.ts";
import { sizeOfShape } from "./tensor.ts";

/** Bytes that the values of a dataset may take to be kept. */
const mostBytes = 64 * 2 ** 20;
/** Of one number, at most. */
const bytesOfNumber = 8;

/**
 * The same examples, decoded once and kept where they take no more than 64 MiB: for data that are evaluated again and again. Batches of
 * consecutive examples are then views.
 */
export function keptInMemory(dataset: Dataset): Dataset {
  const { size, inputs, targets = [] } = dataset;
  const numbers = [...inputs, ...targets].reduce((sum, { shape }) => sum + sizeOfShape(shape), 0);
  if (numbers * size * bytesOfNumber > mostBytes) return dataset;
  let whole: Promise<Dataset> | undefined;
  const load = async (): Promise<Dataset> =>
    batchDataset(dataset, await dataset.batch(new Uint32Array(size).map((_, i) => i)));
  return {
    ...dataset,
    async batch(indices, room) {
      whole ??= load();
      return (await whole).batch(indices, room);
    },
  };
}
