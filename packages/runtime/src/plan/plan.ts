/** From a decoded network to memory and a program: everything that can be decided before the first run. */
import { packedMemory } from "../errors.ts";
import type { PackedModel, PackedOperator, WeightTensor } from "../file/packed-model.ts";
import { createDraft, type Draft, type Step } from "./builder.ts";
import { fold } from "./fold.ts";
import { aligned, placeRegions } from "./lay-out.ts";
import { flatRegion, type Region } from "./region.ts";
import { productOf, type Value } from "./value.ts";
import { assertOutput, checkedCall, withBatch } from "./value-dims.ts";

/** An input or output and where the caller's numbers lie. */
export interface Port {
  readonly name: string;
  readonly dims: readonly number[];
  readonly region: Region;
  /** Of an input: whole numbers. */
  readonly whole?: boolean | undefined;
  /** Of an input: its first extent is the batch that the network was loaded for. */
  readonly isOpen?: boolean;
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
  const inputs = model.inputs.map(({ name, dims, whole }): Port => {
    const extents = withBatch(dims, batch);
    const region = flatRegion(productOf(extents), true);
    values.set(name, { name, dims: extents, given: region, phases: new Map() });
    return { name, dims: extents, region, whole, isOpen: dims[0] === "batch" };
  });
  const draft = createDraft(threads);
  const folded = fold(model, batch);
  lowerAll(folded, values, draft);
  const outputs = model.outputs.map((output): Port => {
    const value = values.get(output.name)!;
    assertOutput(output, value.dims, batch);
    return { name: output.name, dims: value.dims, region: draft.flat(value) };
  });
  draft.pair();
  for (const { region } of outputs) region.last = Number.POSITIVE_INFINITY;
  draft.prepareMasks();

  const { steps, constants, fills } = draft;
  const program = aligned(start);
  const cells = aligned(program + 4 * steps.length);
  const grains = aligned(cells + 8 * steps.length + 4);
  const words = aligned(grains + 4 * steps.length);
  let at = aligned(words + stepBytes * steps.length);
  for (const constant of constants) {
    constant.address = at;
    at = aligned(at + constant.bytes());
  }
  at = placeRegions(new Set([...draft.regions, ...fills.keys(), ...inputs.map(({ region }) => region)]), at);
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
      for (const [region, values] of fills) views.f32.set(values, region.address / 4);
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
    const { call, kind, dims } = checkedCall(operator, values, model.tensors);
    const output: Value = { name: operator.output, dims, phases: new Map() };
    draft.begin(o);
    kind.lower(call, output, draft);
    values.set(operator.output, output);
  });
  draft.begin(-1);
}
