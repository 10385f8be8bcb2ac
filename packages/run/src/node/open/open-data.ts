/** The DATA argument as datasets: gradients and training see the training split only, evaluation the test split only. */
import { isPruneError, parseOptions, type RunEvent, type Task } from "@secateur/core";
import {
  type DatasetSplits,
  dataSources,
  type OpenDatasetOptions,
  openDataset,
  parseNormalize,
} from "@secateur/datasets";
import { readNpyNumbers, readNpzNumbers } from "@secateur/formats";
import { assertData, type NetworkSpec } from "@secateur/nn";
import { findEntry } from "../plugins/find-entry.ts";

/**
 * Opens the data of a network.
 *
 * @param spec.data - with absolute paths
 * @param spec.normalize - the text of --normalize
 * @param spec.task - what --task named: to some, whole numbers are no classes
 * @param spec.classes - of the network, where known; a label outside is refused
 * @param spec.network - the network; examples of another shape are refused as such, before their labels are judged
 * @param spec.inputs - of the model: which of several arrays by name are inputs
 * @param spec.cwd - the folder from which plugins are looked for; absent: there are none
 * @param spec.onEvent - told what the user should know of the data
 * @throws what `openDataset` and `parseNormalize` throw
 */
export async function openData(spec: {
  data: string;
  normalize: string | undefined;
  task?: Task | undefined;
  classes: number | undefined;
  network?: NetworkSpec | undefined;
  /** Of the model, where they are known. */
  inputs?: readonly { readonly name: string; readonly shape?: readonly (number | null)[] }[] | undefined;
  onEvent: (event: RunEvent) => void;
  cwd?: string;
}): Promise<DatasetSplits> {
  const { data, normalize, task, network, onEvent, cwd } = spec;
  // One score stands for two classes, or for a number: what the targets hold decides.
  const classes = spec.classes === 1 ? undefined : spec.classes;
  const options = {
    ...{ readArray: readNpyNumbers, readArrays: readNpzNumbers },
    ...(spec.inputs ? { inputNames: spec.inputs.map(({ name }) => name) } : {}),
    ...windowOf(spec.inputs?.[0]?.shape),
    ...(task?.targetKind === "values" ? { targets: "values" as const } : {}),
    ...(normalize === undefined ? {} : { normalize: parseNormalize(normalize) }),
  };
  let splits: DatasetSplits;
  const source = cwd === undefined ? undefined : await findSource(data, cwd);
  try {
    splits = await (source ?? openDataset)(data, { ...options, ...(classes === undefined ? {} : { classes }) });
  } catch (error) {
    if (network && isPruneError(error) && error.code === "ERR_LABEL_RANGE") {
      // Labels of another task often come with examples of another shape, and that says more.
      const { test } = await (source ?? openDataset)(data, options);
      assertData({ ...network, classes: test.targets?.[0]?.classes ?? network.classes }, test);
    }
    throw error;
  }
  for (const message of splits.warnings ?? []) onEvent({ type: "note", level: "warn", code: "data", message });
  return splits;
}

/** How long an example of an input is, where all extents are known. */
function windowOf(shape: readonly (number | null)[] | undefined): { readonly windowLength?: number } {
  const length = shape?.reduce<number>((product, extent) => product * (extent ?? Number.NaN), 1);
  return length !== undefined && length >= 1 ? { windowLength: length } : {};
}

type Open = (spec: string, options: OpenDatasetOptions) => Promise<DatasetSplits>;

/** A dataset of a plugin, where the name is not one of ours. @throws what is wrong with the plugin */
async function findSource(data: string, from: string): Promise<Open | undefined> {
  const [name = "", argument] = data.split(/:(.*)/s);
  if (dataSources.some((own) => own.name === name)) return undefined;
  try {
    const { entry } = await findEntry({ name, from, kinds: ["dataset"] });
    const source = entry.create((await parseOptions(name, entry.options, {})) as never);
    return async (spec, options) => {
      const splits = await source.open({ spec, argument, options });
      return { ...splits, normalisation: { divisor: 1, mean: [0], std: [1], ...splits.normalisation } };
    };
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_UNKNOWN_NAME") return undefined; // refused with the names of ours
    throw error;
  }
}
