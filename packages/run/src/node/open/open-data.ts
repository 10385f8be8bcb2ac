/** The DATA argument as datasets: gradients and training see the training split only, evaluation the test split only. */
import { isPruneError, type RunEvent } from "@secateur/core";
import { type DatasetSplits, openDataset, parseNormalize } from "@secateur/datasets";
import { readNpyNumbers } from "@secateur/formats";
import { assertData, type NetworkSpec } from "@secateur/nn";

/**
 * Opens the data of a network.
 *
 * @param spec.data - with absolute paths
 * @param spec.normalize - the text of --normalize
 * @param spec.classes - of the network, where known; a label outside is refused
 * @param spec.network - the network; examples of another shape are refused as such, before their labels are judged
 * @param spec.onEvent - told what the user should know of the data
 * @throws what `openDataset` and `parseNormalize` throw
 */
export async function openData(spec: {
  data: string;
  normalize: string | undefined;
  classes: number | undefined;
  network?: NetworkSpec | undefined;
  onEvent: (event: RunEvent) => void;
}): Promise<DatasetSplits> {
  const { data, normalize, classes, network, onEvent } = spec;
  const options = {
    readArray: readNpyNumbers,
    ...(normalize === undefined ? {} : { normalize: parseNormalize(normalize) }),
  };
  let splits: DatasetSplits;
  try {
    splits = await openDataset(data, { ...options, ...(classes === undefined ? {} : { classes }) });
  } catch (error) {
    if (network && isPruneError(error) && error.code === "ERR_LABEL_RANGE") {
      // Labels of another task often come with examples of another shape, and that says more.
      const { test } = await openDataset(data, options);
      assertData({ ...network, classes: test.targets?.[0]?.classes ?? network.classes }, test);
    }
    throw error;
  }
  for (const message of splits.warnings ?? []) onEvent({ type: "note", level: "warn", code: "data", message });
  return splits;
}
