/**
 * Gradient rows, and second moments of what layers see, of `secateur prune` as jobs: each takes those of one share of the examples. Shares are whole passes of the model, which do not
 * depend on who takes them, and are put together in order, so that the bytes are those of one process.
 */
import type { Dataset, GradientRequest, GradientRows, RunContext, Task } from "@secateur/core";
import { addMoments, type InputMoments, type InputSums, momentShare, type SummedInputs } from "@secateur/fisher";
import { type Hash, type Job, type JobContent, readResult, type Store, startPlan } from "@secateur/jobs";
import type { KernelChoice, Session } from "../../session.ts";
import { storeModel } from "../jobs/input-files.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import type { WorkPlace } from "../jobs/work-place.ts";
import type { JobNote } from "../layers-apart/job-notes.ts";
import { asksForMatching } from "../open/any-model-settings.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import { findTask } from "../plugins/find-task.ts";
import { type PruneSettings, taskText } from "../prune/prune-settings.ts";
import { entryOf, type InputsResult, inputsJob } from "./inputs-kind.ts";
import { captureModel, isPortable, type PortableModel } from "./model-elsewhere.ts";
import { encodeExamples } from "./portable-examples.ts";
import { decodeRows, joinRows, type RowShare } from "./portable-rows.ts";
import { type RowsResult, rowsJob } from "./rows-kind.ts";

/** The most shares of rows: each names its model and numbers once more. */
const mostShares = 64;
/** Of a share's result, as a rule: stores read a blob as a whole, and none above 2 GiB. */
const mostBytes = 2 ** 30;

/** A model whose derivatives may be taken elsewhere. */
export interface SpreadModel {
  /** The model: everything is taken here until `begin` was called. */
  readonly model: AnyModel;
  /** Sums over the inputs of layers that do not wait for each other. */
  readonly sums: InputSums;
  /** Tells the run's task, which jobs find by its text. Rows of another task, or of fewer examples than two passes, are taken here. */
  judgeBy(task: Task): void;
  /** Whether jobs can have it: TensorFlow.js models, and ONNX models of a fixed number of examples, they cannot. */
  canBegin(data: Dataset): Promise<boolean>;
  /** From now on jobs take what they can. */
  begin(place: WorkPlace): Promise<void>;
}

/** @param spec.model - as it was opened */
export function spreadModel(spec: {
  settings: PruneSettings;
  model: AnyModel;
  cwd: string;
  session: Session;
}): SpreadModel {
  const { settings, model } = spec;
  const { gradientRows, passExamples } = model.network;
  let task: Task | undefined;
  let shared: Shared | undefined;
  let isTold = false;
  const onOneShare = (ctx: RunContext): void => {
    const message =
      "--workers and --queue have no gradient rows to take: all examples are one pass of the network, which is taken here";
    if (!isTold) ctx.report({ type: "note", level: "info", code: "one-share", message });
    isTold = true;
  };
  const rows = async (request: GradientRequest, ctx: RunContext): Promise<GradientRows> => {
    const isAsked = shared !== undefined && task !== undefined && request.task === task;
    const given = { ...shared!, task: task!, settings, onOneShare };
    const apart = isAsked ? await rowsElsewhere(request, given, ctx) : undefined;
    return apart ?? (await gradientRows!(request, ctx));
  };
  const network = { ...model.network, ...(gradientRows ? { gradientRows: rows } : {}) };
  return {
    model: { ...model, network },
    judgeBy(given) {
      task = given;
    },
    canBegin: async (data) => isPortable(model) && (await passExamples?.(data)) !== undefined,
    async begin(place) {
      if (isPortable(model) && passExamples) shared = await shareModel({ ...spec, place });
    },
    sums: async (request, ctx) =>
      shared && request.model === network ? await sumsElsewhere(request, shared, ctx) : undefined,
  };
}

/** What jobs of one run have in common. */
interface Shared {
  readonly model: AnyModel;
  readonly portable: Omit<PortableModel, "files">;
  readonly files: Hash;
  readonly packages: JobContent["packages"];
  readonly kernels: KernelChoice;
  readonly place: WorkPlace;
}

async function shareModel(spec: Parameters<typeof spreadModel>[0] & { place: WorkPlace }): Promise<Shared> {
  const { settings, model, place, cwd, session } = spec;
  const text = taskText(settings);
  const found = text === undefined ? [] : (await findTask(text, cwd)).sources;
  const packages = await jobPackages({ session, found: [...found, ...model.packages], data: "npy:", cwd });
  const { files, model: name } = await storeModel(place.store, settings.model, session);
  const { arch, includeFrozen, inputs } = settings;
  const portable = {
    ...{ model: name, arch, includeFrozen, inputs },
    corrects: asksForMatching(settings.batchNorm.when),
    untie: settings.retrain !== undefined || settings.layers !== undefined,
  };
  return { model, portable, files, packages, kernels: session.kernelChoice, place };
}

/** Rows by jobs; undefined where there are too few examples. */
async function rowsElsewhere(
  request: GradientRequest,
  spec: Shared & {
    readonly task: Task;
    readonly settings: PruneSettings;
    readonly onOneShare: (ctx: RunContext) => void;
  },
  ctx: RunContext,
): Promise<GradientRows | undefined> {
  const { params, batch, examples, data } = request;
  const { model, portable, files, packages, kernels, task, place } = spec;
  const pass = await model.network.passExamples!(data, { batch, task });
  const numbers = rowNumbers(model, params);
  const size = pass && rowShare({ pass, batch, numbers, examples: examples.length });
  if (size === undefined || size >= examples.length) {
    spec.onOneShare(ctx);
    return undefined;
  }
  const text = taskText(spec.settings);
  const asked = { model: portable, kernels, ...(text === undefined ? {} : { task: text }), taskName: task.name };
  const results = resultsOf<RowsResult>(
    {
      ...{ ...spec, request, size, progress: "gradients" },
      make: ({ examples, state, label }) =>
        rowsJob({ ...asked, params, batch }, { files, state, examples, packages, label: `gradient rows, ${label}` }),
    },
    ctx,
  );
  return await joinRows(
    {
      rows: examples.length / batch,
      rowsOf: (share) => Math.min(size, examples.length - share * size) / batch,
      shares: rowShares(results, place.store),
    },
    ctx.kernels,
  );
}

/** Numbers of a row. */
function rowNumbers({ network }: AnyModel, params: readonly string[]): number {
  const sizes = new Map(network.params().map(({ name, rows, cols }) => [name, rows * cols]));
  return params.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
}

/**
 * Examples of a share of rows: whole passes and whole rows, no more than 64 shares unless one would be more than a GiB; Infinity where a pass is.
 *
 * @param spec.pass - examples of a pass, a multiple of `batch` or a divisor of it
 * @param spec.numbers - of a row
 */
export function rowShare(spec: { pass: number; batch: number; numbers: number; examples: number }): number {
  const { pass, batch, numbers, examples } = spec;
  const unit = Math.max(pass, batch);
  const fewest = Math.ceil(Math.ceil(examples / unit) / mostShares);
  const most = Math.floor(mostBytes / (8 * numbers * (unit / batch)));
  return most < 1 ? Number.POSITIVE_INFINITY : unit * Math.min(fewest, most);
}

/** Sums over the inputs of layers by jobs; undefined where there are too few examples. */
async function sumsElsewhere(
  { params, data, examples, rowsPerInput }: Parameters<InputSums>[0],
  spec: Shared,
  ctx: RunContext,
): Promise<AsyncIterable<SummedInputs> | undefined> {
  const { model, portable, files, packages, kernels, place } = spec;
  const size = await momentShare({ model: model.network, data }, examples.length);
  const widest = Math.max(...model.network.params().map(({ name, cols }) => (params.includes(name) ? cols : 0)));
  if (8 * widest ** 2 > mostBytes) return undefined;
  if (!(size < examples.length) || !Number.isFinite(rowsPerInput)) return undefined;
  const asked = { model: portable, kernels, params, rowsPerInput, of: examples.length };
  const results = resultsOf<InputsResult>(
    {
      ...{ ...spec, request: { data, examples }, size, progress: "inputs" },
      make: ({ first, examples, state, label }) =>
        inputsJob({ ...asked, first }, { files, state, examples, packages, label: `inputs of layers, ${label}` }),
    },
    ctx,
  );
  return summed(results, place.store);
}

interface SharesSpec extends Pick<Shared, "model" | "place"> {
  readonly request: Pick<GradientRequest, "data" | "examples">;
  /** Examples of a share. */
  readonly size: number;
  /** What is taken. */
  readonly progress: string;
  /** The job of the share that begins at example `first`. */
  readonly make: (share: { first: number; examples: Hash; state: Hash; label: string }) => Job;
}

/** What the jobs of all shares give, in the order of the shares. */
async function* resultsOf<T extends { readonly notes: readonly JobNote[] }>(
  spec: SharesSpec,
  ctx: RunContext,
): AsyncGenerator<T> {
  const { model, place, request, size, progress, make } = spec;
  const { data, examples } = request;
  const { store } = place;
  const state = await store.put(await captureModel(model));
  const jobs: Job[] = [];
  for (let first = 0; first < examples.length; first += size) {
    const end = Math.min(first + size, examples.length);
    const stored = await store.put(await encodeExamples(data, examples.subarray(first, end)));
    jobs.push(make({ first, examples: stored, state, label: `examples ${first + 1} to ${end}` }));
  }
  // What is left of the jobs ends with whoever wants their results.
  const stop = new AbortController();
  const signal = AbortSignal.any([ctx.signal, stop.signal]);
  const outcomes = startPlan({ jobs, store, executor: await place.executor(jobs), signal });
  const said = new Set<string>();
  try {
    for (const [share, job] of jobs.entries()) {
      const outcome = (await outcomes.get(job.id))!;
      if ("error" in outcome) throw outcome.error;
      const result = (await readResult(store, job.id, outcome.record)) as unknown as T;
      for (const note of result.notes) {
        // What one share notes all of them do.
        if (!said.has(note.message)) ctx.report(note);
        said.add(note.message);
      }
      yield result;
      await ctx.tick({ task: progress, done: Math.min((share + 1) * size, examples.length), total: examples.length });
    }
  } finally {
    stop.abort();
  }
}

async function* rowShares(results: AsyncIterable<RowsResult>, store: Store): AsyncGenerator<RowShare> {
  for await (const { blocks, sums } of results) {
    yield { blocks: decodeRows(await store.get(blocks)), sums: sums.map(([sum, count]) => ({ sum, count })) };
  }
}

/** Entry after entry, its sums added up in the order of the shares. */
async function* summed(results: AsyncIterable<InputsResult>, store: Store): AsyncGenerator<SummedInputs> {
  const shares: InputsResult[] = [];
  for await (const result of results) shares.push(result);
  for (const e of shares[0]!.entries.keys()) {
    const { moments: first, ...entry } = await entryOf(shares[0]!.entries[e]!, store);
    let moments: InputMoments = first;
    for (const { entries } of shares.slice(1))
      moments = addMoments(moments, (await entryOf(entries[e]!, store)).moments);
    yield { ...entry, moments };
  }
}
