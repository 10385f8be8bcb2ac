/** The DATA argument as datasets: gradients and training see the training split only, evaluation the test split only. */
import { isPruneError, parseOptions, type RunEvent, type Task } from "@secateur/core";
import { type DatasetSplits, dataSources, type OpenDatasetOptions, openDataset } from "@secateur/datasets";
import { readNpyNumbers, readNpzNumbers } from "@secateur/formats";
import { assertData, type NetworkSpec } from "@secateur/nn";
import { findEntry } from "../plugins/find-entry.ts";
import type { Preprocessing, StatedOfModel } from "../preprocessing/preprocessing.ts";
import { settlePreprocessing } from "../preprocessing/settle-preprocessing.ts";

/** What a call says of how data are prepared: the text of --preprocess, and what a recipe has. */
export interface PreprocessAsked {
  readonly text?: string | undefined;
  readonly recipe?: Preprocessing | undefined;
}

/** Opened data, and what holds from now on of the model: what was stated of preparing them, and names of classes. */
export interface OpenedData extends DatasetSplits {
  readonly stated: StatedOfModel;
}

/**
 * Opens the data of a network.
 *
 * @param spec.data - with absolute paths
 * @param spec.normalize - the text of --normalize
 * @param spec.preprocess - what else the call says; default nothing
 * @param spec.stated - what the model's files say; default nothing
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
  preprocess?: PreprocessAsked | undefined;
  stated?: StatedOfModel;
  task?: Task | undefined;
  classes: number | undefined;
  network?: NetworkSpec | undefined;
  /** Of the model, where they are known. */
  inputs?: readonly { readonly name: string; readonly shape?: readonly (number | null)[] }[] | undefined;
  onEvent: (event: RunEvent) => void;
  cwd?: string;
}): Promise<OpenedData> {
  const { data, normalize, task, network, onEvent, cwd, stated = {} } = spec;
  const asked = { ...spec.preprocess, normalize };
  const prepared = await settlePreprocessing({ asked, stated, data, cwd: cwd ?? "." });
  // One score stands for two classes, or for a number: what the targets hold decides.
  const classes = spec.classes === 1 ? undefined : spec.classes;
  const options = {
    ...{ readArray: readNpyNumbers, readArrays: readNpzNumbers },
    ...(spec.inputs ? { inputNames: spec.inputs.map(({ name }) => name) } : {}),
    ...windowOf(spec.inputs?.[0]?.shape),
    ...(spec.inputs?.[0]?.shape ? { inputShape: spec.inputs[0].shape } : {}),
    ...(stated.labels ? { labels: stated.labels } : {}),
    ...(task?.targetKind === "values" ? { targets: "values" as const } : {}),
    ...prepared.options,
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
  if (prepared.note !== undefined) {
    onEvent({ type: "note", level: "info", code: "preprocessing", message: prepared.note });
  }
  for (const message of splits.warnings ?? []) onEvent({ type: "note", level: "warn", code: "data", message });
  const labels = stated.labels ?? splits.labels;
  return {
    ...splits,
    stated: { ...(prepared.kept ? { preprocessing: prepared.kept } : {}), ...(labels ? { labels } : {}) },
  };
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
