/**
 * A graph cut where everything that later steps need is one value: the stream between the residual blocks of a network, the values between the layers
 * of a chain. A part of it can be run and differentiated alone.
 */
import {
  type Batch,
  type Dataset,
  type ModelBlock,
  type Pool,
  takeAllExamples,
  throwIfAborted,
  type Vec,
  withPool,
} from "@secateur/core";
import type { GraphParam } from "../plan/params.ts";
import type { Plan } from "../plan/plan.ts";
import { startGraph } from "../run/run-graph.ts";
import { recordGraph } from "../run/tape.ts";
import { sizeOf, type ValueType } from "../value.ts";
import { joined } from "./gradients.ts";
import type { GraphState } from "./graph-state.ts";
import { type Pass, passOf, passSize } from "./passes.ts";
import { sumSink } from "./weight-sinks.ts";

/** A place before a step, and the value that everything passes through there. */
interface Cut {
  readonly step: number;
  readonly slot: number;
}

/** Steps [from.step, to.step). */
interface Span {
  readonly from: Cut | undefined;
  readonly to: Cut;
  readonly params: readonly string[];
}

/**
 * Cuts the graph into as many parts as there are with at least one of the weights each. O(steps^2). Steps before the first cut belong to the
 * first part, those behind the last to none.
 */
export async function graphBlocks(
  state: GraphState,
  { params, data }: { params: readonly GraphParam[]; data: Dataset },
): Promise<readonly ModelBlock[]> {
  const pair = await data.batch(Uint32Array.of(0, Math.min(1, data.size - 1)));
  const { plan, fed } = passOf(state, pair, 0);
  const size = await passSize(state, data);
  // Two may be the length of another axis: what grows with the examples has them.
  const more = Uint32Array.of(0, Math.min(1, data.size - 1), Math.min(1, data.size - 1));
  const grown =
    state.mayTurn && state.fixedBatch === undefined ? passOf(state, await data.batch(more), 0).plan : undefined;
  return spansOf(plan, { fed, grown, names: new Set(params.map(({ name }) => name)) }).map((span) =>
    blockOf(state, span, size),
  );
}

function spansOf(
  plan: Plan,
  { fed, grown, names }: { fed: number; grown: Plan | undefined; names: ReadonlySet<string> },
): readonly Span[] {
  const { steps } = plan;
  const weightsOf = (from: number, to: number): string[] =>
    steps
      .slice(from, to)
      .flatMap(({ weights }) => weights.flatMap((use) => (use && names.has(use.param) ? [use.param] : [])));
  const spans: Span[] = [];
  let from: Cut | undefined;
  let to: Cut | undefined;
  for (let step = 1; step <= steps.length; step++) {
    const begin = from?.step ?? 0;
    // The latest cut in front of the next weight ends a part, so that what follows its last weight is in it.
    const isNext = step === steps.length || weightsOf(step, step + 1).length > 0;
    const cut = cutAt(plan, step, fed);
    if (cut && (!grown || grown.types[cut.slot]?.shape[0] === fed + 1)) to = cut;
    if (!isNext || !to || to.step <= begin) continue;
    const params = weightsOf(begin, to.step);
    if (params.length === 0) continue;
    spans.push({ from, to, params });
    from = to;
    to = undefined;
  }
  return spans;
}

/** The one value that the steps from `step` on need of those before, if it is one, of examples. */
function cutAt({ steps, types, lastUse, inputs, active }: Plan, step: number, fed: number): Cut | undefined {
  const made = [...inputs.values(), ...steps.slice(0, step).flatMap(({ outputs }) => outputs)];
  const live = made.filter((slot) => lastUse[slot]! >= step);
  const [slot] = live;
  if (slot === undefined || live.length > 1 || !active[slot]) return undefined;
  const { kind, shape } = types[slot]!;
  return kind === "real" && shape[0] === fed ? { step, slot } : undefined;
}

/** What a value is as it stands in memory: a step may give its channels last. */
function storedType({ steps, types }: Plan, slot: number): ValueType {
  for (const step of steps) {
    const place = step.outputs.indexOf(slot);
    if (place >= 0) return step.types[place]!;
  }
  return types[slot]!;
}

interface Call {
  readonly batch: Batch;
  readonly x?: Vec;
}

function blockOf(state: GraphState, { from, to, params }: Span, size: number): ModelBlock {
  const perExample = ({ plan, fed }: Pass, slot: number): number => sizeOf(plan.types[slot]!.shape) / fed;
  /** Some examples at a time, each with its part of the values. */
  const eachPart = async (call: Call, pool: Pool, visit: (pass: Pass, spec: ReturnType<typeof specOf>) => void) => {
    for (let start = 0; start < call.batch.size; start += size) {
      const pass = passOf(state, partOf(call.batch, start, Math.min(start + size, call.batch.size)), start);
      visit(pass, specOf(pass, call, pool));
    }
  };
  const specOf = (pass: Pass, { x }: Call, pool: Pool) => {
    const { plan, start, count, inputs } = pass;
    const range = [from?.step ?? 0, to.step] as const;
    if (!from || !x) return { plan, inputs, pool, range };
    const own = perExample(pass, from.slot);
    const type = storedType(plan, from.slot);
    const data = pool.take(sizeOf(type.shape));
    data.set(x.subarray(start * own, (start + count) * own));
    // A graph of a fixed number of examples is fed the last one again, as its inputs are.
    for (let at = count * own; at < data.length; at += own) data.copyWithin(at, (count - 1) * own, count * own);
    return { plan, inputs, pool, range, given: new Map([[from.slot, { ...type, data }]]) };
  };
  const giveBack = ({ given }: ReturnType<typeof specOf>, pool: Pool): void => {
    for (const { data } of given?.values() ?? []) pool.give(data as Vec);
  };
  return {
    params,
    async run(call, ctx) {
      throwIfAborted(ctx.signal);
      return await withPool(ctx.kernels, state.dtype, async (pool) => {
        const parts: Vec[] = [];
        await eachPart(call, pool, (pass, spec) => {
          const run = startGraph(spec);
          run.advance(to.step);
          parts.push((run.values[to.slot]!.data as Vec).slice(0, pass.count * perExample(pass, to.slot)));
          run.release();
          giveBack(spec, pool);
        });
        return joined(parts, state.dtype);
      });
    },
    async distance({ target, gradients, ...call }, ctx) {
      throwIfAborted(ctx.signal);
      return await withPool(ctx.kernels, state.dtype, async (pool) => {
        let sum = 0;
        await eachPart(call, pool, (pass, spec) => {
          const tape = recordGraph({ ...spec, outputs: new Map([["y", to.slot]]) });
          const y = tape.outputs.get("y")!.data as Vec;
          const own = perExample(pass, to.slot);
          const delta = pool.take(y.length).fill(0);
          for (let i = 0, at = pass.start * own; i < pass.count * own; i++, at++) {
            const error = y[i]! - target[at]!;
            delta[i] = error;
            sum += 0.5 * error * error;
          }
          if (gradients) tape.backward(new Map([["y", delta]]), sumSink(gradients, { alpha: 1, pool }));
          pool.give(delta);
          tape.release();
          giveBack(spec, pool);
        });
        return sum;
      });
    },
  };
}

function partOf({ inputs }: Batch, from: number, to: number): Batch {
  const indices = Uint32Array.from({ length: to - from }, (_, i) => from + i);
  return { size: indices.length, inputs: takeAllExamples(inputs, indices) };
}
