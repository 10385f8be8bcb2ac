/** The job that prunes one network by one method to one sparsity and measures it: what `compare` and `sweep` are made of. */
import { type Evaluation, isPruneError, type PruneResult, type RunPlan } from "@secateur/core";
import { decodeOnnx } from "@secateur/formats";
import { type Job, type JobContent, type JobKind, type Json, makeJob } from "@secateur/jobs";
import { packGraph } from "@secateur/runtime/pack";
import type { ComparedRun } from "../../../compare/compare-document.ts";
import type { FoundEntry } from "../../../plugins/found-entry.ts";
import type { Session } from "../../../session.ts";
import { gradientsOf, type ReadySolver, readySolver, runMethod } from "../../compare/compared-method.ts";
import type { AnyModel } from "../../open/open-any-model.ts";
import { networkGraph } from "../../pack/network-graph.ts";
import { onnxPackGraph } from "../../pack/onnx-graph.ts";
import { findSolver } from "../../plugins/find-solver.ts";
import type { JobHost, OpenedSetting, PortableSetting } from "../job-host.ts";
import { withoutTimes, withTimes } from "../split-times.ts";
import { checkJob } from "./check-job.ts";
import { checkNames } from "./check-names.ts";

/** The name of the kind. */
export const pruneKindName = "prune";

/** One run. */
export interface PruneSettings {
  readonly setting: PortableSetting;
  readonly solver: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly plan: RunPlan;
  readonly sparsity: number;
  readonly curvatureOptions: Readonly<Record<string, unknown>>;
}

/** What a run gives. */
export interface PruneJobResult {
  readonly solver: string;
  readonly options: ComparedRun["options"];
  readonly sparsity: number;
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly result: Omit<PruneResult, "mask">;
  /** On the training examples that were held out to choose by. */
  readonly choice?: Evaluation;
  /** The packed file of int8 values, as `secateur pack` writes it, and what it takes by the usual table of costs; absent where it cannot be packed. */
  readonly packed?: { readonly bytes: number; readonly milliseconds: number };
  readonly curvature?: Pick<FoundEntry, "packageName" | "version">;
}

/** A job of this kind. */
export function pruneJob(settings: PruneSettings, packages: JobContent["packages"], label: string): Job {
  const { files, ...setting } = settings.setting;
  const content = {
    kind: pruneKindName,
    settings: { ...settings, setting } as unknown as Json,
    inputs: { files },
    ...{ after: [], packages },
  };
  return makeJob(content, label);
}

/** The run, its times back in their places. */
export function runOfJob(
  result: Json,
  measured: Json,
): { run: ComparedRun } & Pick<PruneJobResult, "choice" | "packed" | "curvature"> {
  const { times } = measured as { times: Readonly<Record<string, number>> };
  const { choice, packed, curvature, ...run } = withTimes({ value: result, times }) as unknown as PruneJobResult;
  return {
    run: { ...run, sharesGradients: (measured as { sharesGradients?: boolean }).sharesGradients === true },
    ...(choice ? { choice } : {}),
    ...(packed ? { packed } : {}),
    ...(curvature ? { curvature } : {}),
  };
}

/** The kind. */
export function pruneKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    checkJob(content, {
      what: "a job that prunes",
      settings: {
        ...{ setting: "object", "setting.seed": "whole", "setting.kernels": "kernels" },
        ...{ solver: "text", options: "object", plan: "object", sparsity: "number" },
      },
      inputs: ["files"],
    });
    const { setting: common, solver: name, options, plan, ...rest } = content.settings as unknown as PruneSettings;
    const { task, data } = common;
    const methods = [name, plan.curvature];
    await checkNames({ what: "a job that prunes", methods, task, data }, host.cwd);
    const portable: PortableSetting = { ...common, files: content.inputs["files"]! };
    const session = await host.session(portable, { signal, onEvent });
    const opened = await host.setting(portable, session, store);
    const found = await findSolver(name, host.cwd);
    // All options are there by name, and who gave which is known to the submitter alone.
    const ready = { ...(await readySolver({ found, options, plan }, {})), given: [] };
    return await performPrune(opened, { ...ready, ...rest, session, chooses: portable.chooses });
  };
}

async function performPrune(
  { setting, shared }: OpenedSetting,
  spec: ReadySolver & {
    sparsity: number;
    curvatureOptions: Readonly<Record<string, unknown>>;
    session: Session;
    chooses: boolean;
  },
): Promise<{ result: Json; measured: Json }> {
  const { key, stages } = await gradientsOf(setting, spec);
  let choice: Evaluation | undefined;
  let packed: PruneJobResult["packed"];
  const { run, curvature } = await runMethod(setting, {
    ...spec,
    ...{ shared, key, isKept: stages === 1 },
    async onPruned(model) {
      if (!spec.chooses) return;
      choice = await setting.choice?.evaluate(model.network, spec.session.context());
      packed = await packedSize(model);
    },
  });
  const { sharesGradients, ...rest } = run;
  const whole: PruneJobResult = {
    ...rest,
    ...(choice ? { choice } : {}),
    ...(packed ? { packed } : {}),
    ...(curvature ? { curvature: { packageName: curvature.packageName, version: curvature.version } } : {}),
  };
  const { value, times } = withoutTimes(whole as unknown as Json);
  return { result: value, measured: { times, sharesGradients } };
}

/** What `secateur pack` would write; undefined where the model cannot be packed. */
async function packedSize({ own, onnx }: AnyModel): Promise<PruneJobResult["packed"] | undefined> {
  try {
    const graph = own
      ? networkGraph(own.network)
      : onnx && onnxPackGraph(decodeOnnx(onnx.encode(), "the pruned model"), undefined).graph;
    if (!graph) return undefined;
    const { bytes, layers } = await packGraph(graph, { values: "int8" });
    return { bytes: bytes.length, milliseconds: layers.reduce((sum, { expectedMs }) => sum + expectedMs, 0) };
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_PACKED_GRAPH") return undefined;
    throw error;
  }
}
