/** The DATA argument as datasets: gradients and training see the training split only, evaluation the test split only. */
import { type DatasetSplits, openDataset, parseNormalize } from "@secateur/datasets";
import { readNpyNumbers } from "@secateur/formats";

/**
 * Opens the data of a network.
 *
 * @param spec.data - with absolute paths
 * @param spec.normalize - the text of --normalize
 * @param spec.classes - of the network; a label outside is refused
 * @throws what `openDataset` and `parseNormalize` throw
 */
export async function openData(spec: {
  data: string;
  normalize: string | undefined;
  classes: number;
}): Promise<DatasetSplits> {
  const { data, normalize, classes } = spec;
  return await openDataset(data, {
    classes,
    readArray: readNpyNumbers,
    ...(normalize === undefined ? {} : { normalize: parseNormalize(normalize) }),
  });
}
