import {
  type Batch,
  type Dataset,
  type Evaluation,
  evaluateBatches,
  type FloatTensors,
  type RunContext,
  readsValues,
  type Task,
  teacherDataset,
} from "@secateur/core";
import { decodePacked, load, type PackedModel, type PackedValue, type Session } from "@secateur/runtime";
import { badUsage } from "../../errors.ts";
import { scoresOf } from "../open/ending-scores.ts";

/** Examples a run: enough for the kernels of matrices, little memory for images. */
const batchSize = 64;

type OutputsOf = (batch: Pick<Batch, "size" | "inputs">) => Promise<FloatTensors>;

/** A packed network by the name of its model. */
interface NamedFile {
  /** Of the model, for messages. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Loss and measures of a packed network, run as it will be run: what the file says is measured, not what it was made from. */
export async function packedAccuracy(
  spec: NamedFile & { readonly data: Dataset; readonly task: Task },
  ctx: RunContext,
): Promise<Evaluation> {
  const { name, data, task } = spec;
  return await withPacked(spec, (run, endings) => {
    const scored: OutputsOf = async (batch) => {
      const outputs = Object.entries(await run(batch)).map(([output, tensor]) => {
        const ending = readsValues(task, output) ? undefined : endings.get(output);
        return [output, { ...tensor, data: scoresOf(tensor.data as Float32Array, ending) }] as const;
      });
      return Object.fromEntries(outputs);
    };
    return evaluateBatches({ ...{ model: name, data, task, batchSize }, outputsOf: scored }, ctx);
  });
}

/** The data with the outputs of a packed network for targets, where the task compares with a teacher's; else as they are. */
export async function taughtByPacked(
  teacher: () => Promise<NamedFile>,
  { data, task }: { readonly data: Dataset; readonly task: Task },
  ctx: RunContext,
): Promise<Dataset> {
  if (task.targetsFrom !== "teacher") return data;
  const file = await teacher();
  return await withPacked(file, async (run) => {
    const model = { name: file.name, run };
    return (await teacherDataset({ model, data, task }, ctx)).data;
  });
}

async function withPacked<T>(
  { bytes }: Pick<NamedFile, "bytes">,
  work: (outputsOf: OutputsOf, endings: ReadonlyMap<string, string>) => Promise<T>,
): Promise<T> {
  const model = await decodePacked(bytes);
  // A network that was packed for one example runs them one by one.
  const rows = model.inputs.every(({ dims }) => dims[0] === "batch") ? batchSize : 1;
  const session = await load(bytes, { batch: rows });
  try {
    return await work((batch) => outputsOf({ session, rows, inputs: model.inputs }, batch), endingsOf(model));
  } finally {
    await session.close();
  }
}

/** The last operator of every output, behind what only moves numbers. */
export function endingsOf({
  operators,
  outputs,
}: Pick<PackedModel, "operators" | "outputs">): ReadonlyMap<string, string> {
  const makers = new Map(operators.map((operator) => [operator.output, operator]));
  const moves = ["Reshape", "Flatten", "Transpose"];
  return new Map(
    outputs.flatMap(({ name }) => {
      let maker = makers.get(name);
      while (maker && moves.includes(maker.op)) maker = makers.get(maker.inputs[0]!);
      return maker ? [[name, maker.op] as const] : [];
    }),
  );
}

/** The outputs of a batch of any size, in runs of as many examples as the session takes. */
async function outputsOf(
  { session, rows, inputs }: { session: Session; rows: number; inputs: readonly PackedValue[] },
  { size, inputs: given }: Pick<Batch, "size" | "inputs">,
): Promise<FloatTensors> {
  const names = Object.keys(given);
  // The last run may be short; what stands behind it is run and not looked at.
  const ports = inputs
    .filter(({ name }) => session.inputNames.includes(name))
    .map(({ name }) => {
      const dims = session.dims[name]!;
      const data = new Float32Array(dims.reduce((product, extent) => product * extent, 1));
      // Data of one input are for the only one there is, whatever its name.
      const found =
        given[name] ?? (names.length === 1 && session.inputNames.length === 1 ? given[names[0]!] : undefined);
      if (!found) throw badUsage(`the data have no input '${name}'; they have ${names.join(", ")}`, { name, names });
      const { data: numbers } = found;
      const width = data.length / rows;
      if (numbers.length !== size * width)
        throw badUsage(
          `the data have examples of ${numbers.length / size} numbers, and the network's input '${name}' takes ${width}`,
          { name, found: numbers.length / size, width },
        );
      return { name, dims, data, from: Float32Array.from(numbers as ArrayLike<number>, Number) };
    });
  const all: Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }> = {};
  for (let start = 0; start < size; start += rows) {
    const count = Math.min(rows, size - start);
    for (const { data, from } of ports) {
      const row = data.length / rows;
      data.set(from.subarray(start * row, (start + count) * row));
    }
    session.reset();
    const results = await session.run(Object.fromEntries(ports.map(({ name, data, dims }) => [name, { data, dims }])));
    for (const [name, { data, dims: extents }] of Object.entries(results)) {
      const width = data.length / rows;
      all[name] ??= { shape: [size, ...extents.slice(1)], data: new Float32Array(size * width) };
      all[name].data.set(data.subarray(0, count * width), start * width);
    }
  }
  return all;
}
