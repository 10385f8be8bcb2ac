/** The DATA argument as datasets: gradients and training see the training split only, evaluation the test split only. */
import type { RunEvent } from "@secateur/core";
import { type DatasetSplits, openDataset, parseNormalize } from "@secateur/datasets";
import { readNpyNumbers } from "@secateur/formats";

/**
 * Opens the data of a network.
 *
 * @param spec.data - with absolute paths
 * @param spec.normalize - the text of --normalize
 * @param spec.classes - of the network; a label outside is refused
 * @param spec.onEvent - told what the user should know of the data
 * @throws what `openDataset` and `parseNormalize` throw
 */
export async function openData(spec: {
  data: string;
  normalize: string | undefined;
  classes: number;
  onEvent: (event: RunEvent) => void;
}): Promise<DatasetSplits> {
  const { data, normalize, classes, onEvent } = spec;
  const splits = await openDataset(data, {
    classes,
    readArray: readNpyNumbers,
    ...(normalize === undefined ? {} : { normalize: parseNormalize(normalize) }),
  });
  for (const message of splits.warnings ?? []) onEvent({ type: "note", level: "warn", code: "data", message });
  return splits;
}
