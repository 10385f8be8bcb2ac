/** The job that traces what the removals of one layer lose: of it the loss database is made by which layers share a budget. */
import { createRunContext, type Mask, type Vec } from "@secateur/core";
import { decodeSafetensors, encodeSafetensors } from "@secateur/formats";
import { type Hash, type Job, type JobContent, type JobKind, type Json, makeJob, type Store } from "@secateur/jobs";
import { type LayerTraces, layerAllocations, type TraceSpec, traceLosses } from "@secateur/solvers-layerwise";
import { badJob } from "../../errors.ts";
import type { KernelChoice } from "../../session.ts";
import type { JobHost } from "../jobs/job-host.ts";
import { checkJob } from "../jobs/kinds/check-job.ts";
import { holdJobNotes, type JobNote } from "./job-notes.ts";
import { decodeProblem } from "./portable-problem.ts";

/** The name of the kind. */
export const traceKindName = "trace";

const what = "a job that traces a layer";

/** What is traced. */
export interface TraceSettings {
  readonly rules: TraceSpec["rules"];
  readonly seed: number;
  readonly kernels: KernelChoice;
}

/** What it gives; `losses` is a hash of what the removals of all weights cost. */
export interface TracedLayer {
  readonly losses?: Hash;
  readonly levels?: { readonly kept: readonly number[]; readonly loss: readonly number[] };
  readonly notes: readonly JobNote[];
}

/** The kind. */
export function traceKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    checkJob(content, {
      what,
      settings: { rules: "texts", seed: "whole", kernels: "kernels" },
      inputs: ["problem"],
    });
    const settings = content.settings as unknown as TraceSettings;
    const { rules, seed } = settings;
    if (!rules.every((rule) => layerAllocations.includes(rule))) throw badJob(what, "its setting 'rules' is none");
    const { notes, hear } = holdJobNotes(onEvent);
    const { kernels } = await host.session(settings, { signal, onEvent: hear });
    const { problem, eligible } = content.inputs;
    const bytes = await store.get(problem!);
    const posed = decodeProblem(bytes, kernels);
    const mask: Mask | undefined = eligible === undefined ? undefined : await store.get(eligible);
    const size = posed.w.data.length;
    if (mask && mask.length !== size) throw badJob(what, `its mask is of ${mask.length} weights, and it has ${size}`);
    const ctx = createRunContext({ seed, kernels, signal, onEvent: hear });
    const { losses, levels } = await traceLosses(posed, { rules, ...(mask ? { eligible: mask } : {}) }, ctx);
    const traced: TracedLayer = {
      ...(losses ? { losses: await store.put(encodeLosses(losses)) } : {}),
      ...(levels ? { levels: { kept: [...levels.kept], loss: [...levels.loss] } } : {}),
      notes,
    };
    return { result: traced as unknown as Json };
  };
}

/** A job of this kind. @param spec.eligible - hash of a byte for each weight */
export function traceJob(
  settings: TraceSettings,
  spec: { problem: Hash; eligible: Hash | undefined; packages: JobContent["packages"]; label: string },
): Job {
  const { problem, eligible, packages, label } = spec;
  const inputs = { problem, ...(eligible === undefined ? {} : { eligible }) };
  return makeJob(
    { kind: traceKindName, settings: settings as unknown as Json, inputs, after: [], packages },
    `${label}, traced`,
  );
}

/** What a job gave, as who shares a budget out takes it. */
export async function tracesOf({ losses, levels }: TracedLayer, store: Store): Promise<LayerTraces> {
  const all = losses === undefined ? undefined : decodeSafetensors(await store.get(losses), "a layer's losses");
  return {
    ...(all ? { losses: (all.tensors[0]!.data as Vec).slice() as Float64Array } : {}),
    ...(levels ? { levels: { kept: Uint32Array.from(levels.kept), loss: Float64Array.from(levels.loss) } } : {}),
  };
}

function encodeLosses(data: Float64Array): Uint8Array {
  return encodeSafetensors({ tensors: [{ name: "losses", shape: [data.length], dtype: "f64", data }], metadata: {} });
}
