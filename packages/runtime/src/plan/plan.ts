/** From a decoded network to memory and a program: everything that can be decided before the first run. */
import { packedGraph, packedMemory, quoted } from "../errors.ts";
import type { PackedModel, PackedOperator, WeightTensor } from "../file/packed-model.ts";
import { type Call, createCall } from "../operators/operator.ts";
import { operatorKinds } from "../operators/operator-kinds.ts";
import { createDraft, type Draft, type Step } from "./builder.ts";
import { fold } from "./fold.ts";
import { aligned, placeRegions } from "./lay-out.ts";
import { flatRegion, type Region } from "./region.ts";
import { productOf, type Value } from "./value.ts";

/** An input or output and where the caller's numbers lie. */
export interface Port {
  readonly name: string;
  readonly dims: readonly number[];
  readonly region: Region;
}

/** A planned network. Addresses are bytes in a memory of `totalBytes`. */
export interface Plan {
  /** What is left after folding; steps name their places here. */
  readonly operators: readonly PackedOperator[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly steps: readonly Step[];
  /** Addresses of the steps, one word each. */
  readonly program: number;
  /** Two words a step for threads, then one that says whether one failed. */
  readonly cells: number;
  /** One word a step: units that a thread takes at once. */
  readonly grains: number;
  readonly totalBytes: number;
  /** Writes constants and program into the new memory. */
  write(memory: ArrayBufferLike): void;
}

/** What a plan is made for. */
export interface PlanOptions {
  readonly batch: number;
  readonly threads: number;
  /** First free byte. */
  readonly start: number;
  readonly maxMemoryBytes: number;
}

/** Bytes of one step's words. */
const stepBytes = 128;
/** Work below which a step is done by one thread: sharing it takes longer than some ten thousand products. */
const aloneBelow = 20_000;

/** @throws ERR_PACKED_GRAPH, ERR_PACKED_MEMORY */
export function makePlan(model: PackedModel, options: PlanOptions): Plan {
  const { batch, threads, start, maxMemoryBytes } = options;
  const values = new Map<string, Value>();
  const inputs = model.inputs.map(({ name, dims }): Port => {
    const extents = dims.map((extent) => (extent === "batch" ? batch : extent));
    const region = flatRegion(productOf(extents), true);
    values.set(name, { name, dims: extents, given: region, phases: new Map() });
    return { name, dims: extents, region };
  });
  const draft = createDraft(threads);
  const folded = fold(model);
  lowerAll(folded, values, draft);
  const outputs = model.outputs.map(({ name, dims }): Port => {
    const value = values.get(name)!;
    const promised = dims.map((extent) => (extent === "batch" ? batch : extent));
    if (promised.join() !== value.dims.join()) {
      throw packedGraph(
        `output ${quoted(name)}`,
        `the graph gives [${value.dims.join(", ")}] and the file says [${promised.join(", ")}]`,
      );
    }
    const region = draft.flat(value);
    return { name, dims: value.dims, region };
  });
  for (const { region } of outputs) region.last = Number.POSITIVE_INFINITY;
  draft.prepareMasks();

  const { steps, constants } = draft;
  const program = aligned(start);
  const cells = aligned(program + 4 * steps.length);
  const grains = aligned(cells + 8 * steps.length + 4);
  const words = aligned(grains + 4 * steps.length);
  let at = aligned(words + stepBytes * steps.length);
  for (const constant of constants) {
    constant.address = at;
    at = aligned(at + constant.bytes());
  }
  at = placeRegions(new Set([...draft.regions, ...inputs.map(({ region }) => region)]), at);
  if (at > maxMemoryBytes) throw packedMemory(`the network with a batch of ${batch}`, at, maxMemoryBytes);
  return {
    operators: folded.operators,
    inputs,
    outputs,
    steps,
    program,
    cells,
    grains,
    totalBytes: at,
    write(memory) {
      const views = { u32: new Uint32Array(memory), f32: new Float32Array(memory) };
      for (const constant of constants) constant.write(views, constant.address);
      steps.forEach((step, s) => {
        const address = words + stepBytes * s;
        const units = step.units();
        views.u32[program / 4 + s] = address;
        views.u32[grains / 4 + s] = step.work < aloneBelow ? units : Math.ceil(units / (4 * threads));
        views.u32.set([step.kernel, units, ...step.words()], address / 4);
      });
    },
  };
}

function lowerAll(
  model: Pick<PackedModel, "operators"> & { readonly tensors: ReadonlyMap<string, WeightTensor> },
  values: Map<string, Value>,
  draft: Draft,
): void {
  model.operators.forEach((operator, o) => {
    const kind = Object.hasOwn(operatorKinds, operator.op) ? operatorKinds[operator.op]! : undefined;
    const call: Call = createCall({
      operator,
      inputs: operator.inputs.map((name) => values.get(name)!),
      tensors: operator.tensors.map((name): WeightTensor => model.tensors.get(name)!),
    });
    if (!kind) call.refuse(`this runtime has no such operator; it has ${Object.keys(operatorKinds).join(", ")}`);
    else {
      assertCount(call, "values", call.inputs.length, kind.inputs);
      assertCount(call, "tensors", call.tensors.length, kind.tensors);
      const output: Value = { name: operator.output, dims: kind.dims(call), phases: new Map() };
      if (productOf(output.dims) > 2 ** 30)
        call.refuse(`it gives ${productOf(output.dims)} numbers; at most 2^30 can be held`);
      draft.begin(o);
      kind.lower(call, output, draft);
      values.set(operator.output, output);
    }
  });
  draft.begin(-1);
}

function assertCount(call: Call, what: string, found: number, [least, most]: readonly [number, number]): void {
  if (found < least || found > most)
    call.refuse(`it has ${found} ${what}; allowed are ${least === most ? least : `${least} to ${most}`}`);
}
