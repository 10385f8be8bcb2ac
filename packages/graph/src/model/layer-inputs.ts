/**
 * What the weights of a graph are multiplied with, weight after weight. Every batch of examples waits at the step whose turn it is with the values
 * that later steps need, and goes on from there with the weights that are then in place: a pass over the graph in all. Where the values of
 * all examples are too many to wait, each weight begins at the inputs again.
 */
import {
  createPool,
  type InputChunk,
  type LayerInputs,
  type LayerInputsRequest,
  type Mat,
  type Pool,
  passChunks,
  type RunContext,
  throwIfAborted,
  type Vec,
} from "@secateur/core";
import { badInput, noLayerInputs, notFiniteInput } from "../errors.ts";
import type { WeightInputs } from "../operator.ts";
import type { GraphParam } from "../plan/params.ts";
import type { Plan } from "../plan/plan.ts";
import { rowGroups, stepsWith } from "../plan/weight-steps.ts";
import { type GraphRun, startGraph } from "../run/run-graph.ts";
import { applyStep } from "../run/steps.ts";
import { sizeOf } from "../value.ts";
import type { GraphState } from "./graph-state.ts";
import { asTheyAre, offsetsOf, type WithOffsets } from "./offsets/layer-offsets.ts";
import { type Pass, passOf, passSize } from "./passes.ts";

/** Numbers that waiting batches may hold: 512 MiB of f32. */
const waitingNumbers = 128 * 1024 * 1024;

/** A batch on its way. Its inputs are the run's alone, which drops them after their last use. */
interface Walk extends Pick<Pass, "plan" | "fed" | "count"> {
  readonly run: GraphRun;
  /** Runs steps with the offsets that the walk is to see. */
  readonly withOffsets: WithOffsets;
  /** The step that it waits at, where groups of a convolution take turns: the step is taken once for all of them. */
  taken?: Taken | undefined;
}

/** A step taken for what its weight sees. */
interface Taken {
  readonly step: number;
  readonly inputs: WeightInputs;
  readonly kept: readonly Vec[];
}

/**
 * Hands out inputs in the order of the graph; matrix products of one value come together. Time: a forward pass, and each weight's step once
 * more. Memory: the live values of all examples, up to 512 MiB; with "parallel" a copy of the weights.
 *
 * @throws ERR_INCOMPATIBLE for weights of transposed convolutions and of several nodes, ERR_NOT_FINITE, ERR_ABORTED, and as `run`
 */
export async function* layerInputs(
  state: GraphState,
  request: LayerInputsRequest,
  { params, ctx }: { params: readonly GraphParam[]; ctx: RunContext },
): AsyncGenerator<LayerInputs> {
  const { data } = request;
  const examples = wholePasses(state, request.examples, ctx);
  throwIfAborted(ctx.signal);
  for (const { name, order, uses } of params) {
    if (order.kind === "conv-transpose")
      throw noLayerInputs(state.name, name, "it belongs to a transposed convolution");
    if (uses.length > 1) throw noLayerInputs(state.name, name, "several nodes use it");
  }
  const weights =
    request.inputs === "parallel"
      ? new Map<string, Vec>([...state.params].map(([name, { live }]) => [name, live.data.slice()]))
      : undefined;
  const pool = createPool(ctx.kernels, state.dtype);
  try {
    const size = await passSize(state, data);
    const first = passOf(state, await data.batch(examples.subarray(0, 1)), 0);
    const sites = sitesOf(first.plan, params);
    const isWaiting = (examples.length / first.fed) * mostLive(first.plan, sites) <= waitingNumbers;
    const withOffsets = request.inputs === "parallel" ? asTheyAre(state) : <T>(work: () => T): T => work();
    const walks: Walk[] = [];
    const call: Call = {
      state,
      request: { ...request, examples },
      ctx,
      pool,
      size,
      isWaiting,
      walks,
      withOffsets,
      ...(weights ? { weights } : {}),
    };
    const offsets = offsetsOf(state, first.plan);
    for (const site of sites) {
      const { cols, members, groups } = site;
      const [param] = members as [GraphParam];
      const rows = isWindowed(param) ? { rows: examples.length * positionsAt(first, param) } : {};
      const seen = rowGroups(first.plan, param).length;
      for (let index = 0; index < groups * seen; index++) {
        const targets = members.map((member) => {
          const { name, live } = member;
          const share = live.rows / groups;
          const { firstRow, rows } =
            groups > 1 ? { firstRow: index * share, rows: share } : rowGroups(first.plan, member)[index]!;
          const offset = offsets.get(name);
          return { param: name, firstRow, rows, ...(offset ? { offset } : {}) };
        });
        yield { targets, cols, ...rows, chunks: chunksOf(call, { param, groups, index }) };
      }
    }
  } finally {
    pool.close();
  }
}

/**
 * Examples of which the last pass is no shorter than the others. A graph of a fixed number is fed copies beyond its last example, whose rows stand behind all others
 * only where the examples' axis comes first all the way.
 *
 * @throws ERR_GRAPH_INPUT for fewer than one pass takes
 */
function wholePasses(
  { name, inputs, fixedBatch, mayTurn }: GraphState,
  examples: Uint32Array,
  ctx: RunContext,
): Uint32Array {
  const rest = fixedBatch === undefined || !mayTurn ? 0 : examples.length % fixedBatch;
  if (rest === 0) return examples;
  if (rest === examples.length) {
    const found = `${rest} examples for the inputs of layers, of a model that takes ${fixedBatch} at a time and may count them behind another axis`;
    throw badInput({ where: name, input: inputs[0]!.name, found, expected: `${fixedBatch} or more` });
  }
  const message = `${rest} of ${examples.length} calibration examples are left out: '${name}' takes ${fixedBatch} at a time and may count them behind another axis, where copies that fill the last pass could not be told from examples`;
  ctx.report({ type: "note", level: "info", code: "examples-left-out", message });
  return examples.subarray(0, examples.length - rest);
}

function isWindowed({ uses }: GraphParam): boolean {
  return uses[0]?.op === "Conv";
}

/** Windows of an example. */
function positionsAt({ plan, fed }: Pass, { name, live }: GraphParam): number {
  const step = plan.steps[stepsWith(plan, name)[0]!]!;
  return sizeOf(plan.types[step.outputs[0]!]!.shape) / (fed * live.rows);
}

interface Call {
  readonly state: GraphState;
  readonly request: LayerInputsRequest;
  readonly ctx: RunContext;
  readonly pool: Pool;
  readonly size: number;
  readonly isWaiting: boolean;
  readonly walks: Walk[];
  readonly withOffsets: WithOffsets;
  readonly weights?: ReadonlyMap<string, Vec>;
}

/** A group of a convolution, or rows of a state that see the same; of any other weight there is one turn. */
interface Turn {
  readonly param: GraphParam;
  /** Of a convolution. */
  readonly groups: number;
  readonly index: number;
}

async function* chunksOf(call: Call, turn: Turn): AsyncGenerator<InputChunk> {
  const { state, request, ctx, pool, size, isWaiting, walks } = call;
  const { examples } = request;
  for (let start = 0, b = 0; start < examples.length; start += size, b++) {
    const indices = examples.subarray(start, Math.min(start + size, examples.length));
    const walk = walks[b] ?? (await startWalk(call, indices, start));
    if (isWaiting) walks[b] = walk;
    const isOnce = stepsWith(walk.plan, turn.param.name).length === 1;
    yield* passChunks(inputsOf(walk, { state, turn, pool, indices }), start);
    // Whose weight is used again and again has gone on with the weight as it was, and begins anew.
    if (!isWaiting || !isOnce) {
      dropTaken(walk, pool);
      walk.run.release();
      delete walks[b];
    }
    await ctx.tick({ task: "inputs", done: start + indices.length, total: examples.length });
  }
}

async function startWalk(
  { state, request, pool, weights, withOffsets }: Call,
  indices: Uint32Array,
  start: number,
): Promise<Walk> {
  const pass = passOf(state, await request.data.batch(indices), start);
  const { plan, fed, count } = pass;
  return { plan, fed, count, withOffsets, run: startGraph({ ...pass, pool, ...(weights ? { weights } : {}) }) };
}

/** What a weight's step sees of one batch: the step is taken for it, and again when the run goes on. */
function* inputsOf(
  walk: Walk,
  at: { state: GraphState; turn: Turn; pool: Pool; indices: Uint32Array },
): Generator<Mat> {
  const { state, turn, pool, indices } = at;
  const { param, groups, index } = turn;
  const { fed, count } = walk;
  const [rowGroup, group] = groups > 1 ? [0, index] : [index, 0];
  for (const step of rowGroups(walk.plan, param)[rowGroup]!.steps) {
    const { units, inputs } = takeStep(walk, step, pool);
    const perExample = units / fed;
    let seen = 0;
    const own = perExample * count;
    for (const chunk of inputs(group, [0, own])) {
      const bad = badPlace(chunk.data, pool);
      if (bad >= 0) {
        const row = seen + Math.floor(bad / chunk.cols);
        const example = Math.floor((row * indices.length) / Math.max(own, chunk.rows));
        throw notFiniteInput({
          where: state.name,
          param: param.name,
          example: indices[Math.min(example, indices.length - 1)]!,
        });
      }
      seen += chunk.rows;
      yield chunk;
    }
  }
  if (group === groups - 1) dropTaken(walk, pool);
}

/** Of the first number that is not finite; -1: none. One sum of squares tells that all are, but for those beyond f64. */
function badPlace(data: Vec, { kernels }: Pool): number {
  if (Number.isFinite(kernels.dot(data, data))) return -1;
  return data.findIndex((value: number) => !Number.isFinite(value));
}

function takeStep(walk: Walk, s: number, pool: Pool): WeightInputs {
  const { plan, run, withOffsets } = walk;
  if (walk.taken?.step === s) return walk.taken.inputs;
  dropTaken(walk, pool);
  withOffsets(() => run.advance(s));
  const { weightInputs, outputs, kept = [] } = applyStep(plan.steps[s]!, { values: run.values, plan, pool });
  // What it gives is made again when the run goes on; what its inputs are read from stays.
  for (const data of new Set(outputs)) if (!kept.includes(data as Vec)) pool.give(data as Vec);
  walk.taken = { step: s, inputs: weightInputs!, kept: [...new Set(kept as Vec[])] };
  return weightInputs!;
}

function dropTaken(walk: Walk, pool: Pool): void {
  for (const data of walk.taken?.kept ?? []) pool.give(data);
  walk.taken = undefined;
}

/** The most numbers that a batch holds while it waits at one of the weights: inputs and values made before that are needed then or later. */
function mostLive(plan: Plan, sites: readonly Site[]): number {
  const { steps, types, lastUse, inputs } = plan;
  const given = [...inputs.values()];
  const live = sites.map(({ members }) => {
    const at = stepsWith(plan, members[0]!.name).at(-1) ?? 0;
    const made = steps.slice(0, at).flatMap(({ outputs }) => outputs);
    return [...given, ...made].reduce((sum, slot) => sum + (lastUse[slot]! >= at ? sizeOf(types[slot]!.shape) : 0), 0);
  });
  return Math.max(0, ...live);
}

/** Weights that see the same, in the order of the graph. */
interface Site {
  readonly members: GraphParam[];
  readonly groups: number;
  readonly cols: number;
}

function sitesOf(plan: Plan, params: readonly GraphParam[]): readonly Site[] {
  const wanted = new Map(params.map((param) => [param.name, param]));
  const sites = new Map<string, Site>();
  const seen = new Set<GraphParam>();
  plan.steps.forEach((step, s) => {
    for (const use of step.weights) {
      const param = use && wanted.get(use.param);
      if (!param || seen.has(param)) continue;
      seen.add(param);
      // Products of one value see the same rows; convolutions are left apart, since their windows may differ.
      const isProduct = step.operator.name === "MatMul" || step.operator.name === "Gemm";
      const key = isProduct ? `product ${step.inputs[0]}` : `step ${s}`;
      const known = sites.get(key);
      const group = step.node.attributes.group;
      const groups = typeof group === "number" && !isProduct ? group : 1;
      if (known) known.members.push(param);
      else sites.set(key, { members: [param], groups, cols: param.live.cols });
    }
  });
  return [...sites.values()];
}
