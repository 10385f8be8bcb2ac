/** Operators checked one after the other, and the extents of what they give. */
import { packedGraph, quoted } from "../errors.ts";
import type { PackedOperator, PackedValue, WeightTensor } from "../file/packed-model.ts";
import { type Call, createCall, type OperatorKind } from "../operators/operator.ts";
import { operatorKinds } from "../operators/operator-kinds.ts";
import { productOf, type Value } from "./value.ts";

/** What has values with extents: a packed model, or a graph on its way into one. */
export interface Dimensioned {
  readonly inputs: readonly PackedValue[];
  readonly operators: readonly PackedOperator[];
  readonly tensors: ReadonlyMap<string, WeightTensor>;
}

/** Numbers that one value may have. */
const mostNumbers = 2 ** 30;

/** An operator whose inputs and tensors are right, with what it gives. @throws ERR_PACKED_GRAPH naming it */
export function checkedCall(
  operator: PackedOperator,
  values: ReadonlyMap<string, Value>,
  tensors: ReadonlyMap<string, WeightTensor>,
): { readonly call: Call; readonly kind: OperatorKind; readonly dims: readonly number[] } {
  const call = createCall({
    operator,
    inputs: operator.inputs.map((name) => values.get(name)!),
    tensors: operator.tensors.map((name) => tensors.get(name)!),
  });
  if (!Object.hasOwn(operatorKinds, operator.op))
    return call.refuse(`this runtime has no such operator; it has ${Object.keys(operatorKinds).join(", ")}`);
  const kind = operatorKinds[operator.op]!;
  assertCount(call, "values", call.inputs.length, kind.inputs);
  assertCount(call, "tensors", call.tensors.length, kind.tensors);
  const dims = kind.dims(call);
  if (productOf(dims) > mostNumbers)
    call.refuse(
      `it gives ${productOf(dims)} numbers; at most 2^30 can be held`,
      "take smaller inputs or a smaller batch",
    );
  return { call, kind, dims };
}

/** Extents of every value. @throws ERR_PACKED_GRAPH */
export function valueDims(graph: Dimensioned, batch: number): ReadonlyMap<string, readonly number[]> {
  const values = new Map<string, Value>();
  const hold = (name: string, dims: readonly number[]): void => {
    values.set(name, { name, dims, phases: new Map() });
  };
  for (const { name, dims } of graph.inputs) hold(name, withBatch(dims, batch));
  for (const operator of graph.operators) hold(operator.output, checkedCall(operator, values, graph.tensors).dims);
  return new Map([...values].map(([name, { dims }]) => [name, dims]));
}

/** Extents with the batch that was chosen. */
export function withBatch(dims: PackedValue["dims"], batch: number): readonly number[] {
  return dims.map((extent) => (extent === "batch" ? batch : extent));
}

/** @throws ERR_PACKED_GRAPH where an output has other extents than the file promises */
export function assertOutput({ name, dims }: PackedValue, found: readonly number[], batch: number): void {
  const promised = withBatch(dims, batch);
  if (promised.join() === found.join()) return;
  throw packedGraph(
    `output ${quoted(name)}`,
    `the graph gives [${found.join(", ")}] and the file says [${promised.join(", ")}]`,
  );
}

function assertCount(call: Call, what: string, found: number, [least, most]: readonly [number, number]): void {
  if (found < least || found > most)
    call.refuse(`it has ${found} ${what}; allowed are ${least === most ? least : `${least} to ${most}`}`);
}
