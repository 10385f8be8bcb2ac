import { layoutParams, type RunSituation, readFlat, runSituation } from "@secateur/core";
import { openAnyModel } from "../open/open-any-model.ts";
import { openData } from "../open/open-data.ts";
import { modelFile } from "../open/open-tfjs.ts";
import { recordOf } from "../retrain/complete-settings.ts";
import type { TrainingRecord } from "../retrain/training-record.ts";

/** How a network was trained, by its file. */
export interface ModelTraining {
  /** Absolute path of the file. */
  readonly path: string;
  /** Absent: it does not say. */
  readonly record?: TrainingRecord;
  /** Whether it can be retrained here, which a TensorFlow.js model cannot. */
  readonly isTrainable: boolean;
}

/**
 * The situation of a model, as a run of prune would see it, and how it was trained.
 *
 * @param spec.path - absolute
 * @param spec.data - the DATA argument with absolute paths; absent: `examples` are assumed
 * @throws what opening model and data throws
 */
export async function planSituation(spec: {
  path: string;
  arch: string | undefined;
  data: string | undefined;
  sparsity: number;
  examples: number;
  cwd: string;
}): Promise<{ situation: RunSituation; training: ModelTraining }> {
  const { path, arch, cwd, sparsity, examples, data: source } = spec;
  const onEvent = (): void => {};
  const model = await openAnyModel({ path: modelFile(path), arch, engine: undefined, cwd, onEvent });
  try {
    const { network, classes, spec: layers } = model;
    const params = layoutParams(network);
    const weights = await readFlat(network, params);
    const data =
      source &&
      (await openData({
        data: source,
        normalize: undefined,
        stated: model.stated,
        task: model.own?.trainedFor,
        classes,
        network: layers,
        inputs: network.inputs,
        onEvent,
        cwd,
      }));
    const sizes = { model: network, params, weights, sparsity };
    const situation = data ? runSituation({ ...sizes, data: data.train }) : { ...runSituation(sizes), examples };
    const record = recordOf(model);
    return { situation, training: { path, isTrainable: !model.tfjs, ...(record ? { record } : {}) } };
  } finally {
    model.close();
  }
}
