import {
  asFloats,
  type Batch,
  type Dataset,
  type Evaluation,
  evaluateBatches,
  type FloatTensors,
  type RunContext,
  type Task,
  teacherDataset,
} from "@secateur/core";
import { load, type Session } from "@secateur/runtime";

/** Examples a run: enough for the kernels of matrices, little memory for images. */
const batchSize = 64;

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
  return await withPacked(spec, (outputsOf) =>
    evaluateBatches({ ...{ model: name, data, task, batchSize }, outputsOf }, ctx),
  );
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
  { bytes }: NamedFile,
  work: (outputsOf: (batch: Pick<Batch, "size" | "inputs">) => Promise<FloatTensors>) => Promise<T>,
): Promise<T> {
  const session = await load(bytes, { batch: batchSize });
  try {
    return await work((batch) => outputsOf(session, batch));
  } finally {
    await session.close();
  }
}

/** The outputs of a batch of any size, in runs of as many examples as the session takes. */
async function outputsOf(session: Session, { size, inputs }: Pick<Batch, "size" | "inputs">): Promise<FloatTensors> {
  const input = session.inputNames[0]!;
  const dims = session.dims[input]!;
  // The last run may be short; what stands behind it is run and not looked at.
  const padded = new Float32Array(dims.reduce((product, extent) => product * extent, 1));
  const row = padded.length / batchSize;
  const given = asFloats(Object.values(inputs)[0]!.data);
  const all: Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }> = {};
  for (let start = 0; start < size; start += batchSize) {
    const count = Math.min(batchSize, size - start);
    padded.set(given.subarray(start * row, (start + count) * row));
    for (const [name, { data, dims: extents }] of Object.entries(
      await session.run({ [input]: { data: padded, dims } }),
    )) {
      const width = data.length / batchSize;
      all[name] ??= { shape: [size, ...extents.slice(1)], data: new Float32Array(size * width) };
      all[name].data.set(data.subarray(0, count * width), start * width);
    }
  }
  return all;
}
