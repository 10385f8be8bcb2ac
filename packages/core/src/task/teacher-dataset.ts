/** Unlabelled data with the outputs of the network as it is now for targets: what distillation compares with later. */
import { type Dataset, subset } from "../data/dataset.ts";
import { hashTensors } from "../data/hash-tensors.ts";
import type { Model } from "../data/model.ts";
import { type FloatTensors, mapTensors, sizeOfShape, type TensorSpec, takeAllExamples } from "../data/tensor.ts";
import { impossibleRun } from "../errors.ts";
import { sampleIndices } from "../rng.ts";
import type { RunContext } from "../run-context.ts";
import type { Task } from "./task.ts";

/** Numbers that are kept of a teacher's outputs: 256 MiB of f32. */
const mostNumbers = 64 * 1024 * 1024;
/** Numbers that go in or come out at a time. */
const batchNumbers = 4 * 1024 * 1024;

/** Data with a teacher's outputs. */
export interface TeacherDataset {
  readonly data: Dataset;
  /** Identifies the teacher: a hash of its outputs. A run is only continued under the same one. */
  readonly fingerprint: string;
}

/**
 * Runs the model over the data and keeps its outputs, up to 256 MiB; of larger ones those of a sample of the examples, which is then
 * all that the returned dataset has, and a note says so. Targets that the data have already stay beside them.
 *
 * The task is the one that will compare with them; default: one that reads scores.
 *
 * @throws ERR_IMPOSSIBLE for a model that cannot be run, ERR_ABORTED
 */
export async function teacherDataset(
  { model, data, task }: { model: Pick<Model, "name" | "run">; data: Dataset; task?: Task },
  ctx: RunContext,
): Promise<TeacherDataset> {
  if (!model.run)
    throw impossibleRun(`distillation needs the outputs of the model '${model.name}', which it does not give`, {
      name: model.name,
    });
  const reader = task ? { task } : {};
  const first = await model.run(await data.batch(Uint32Array.of(0)), ctx, reader);
  const perExample = Object.values(first).reduce((sum, { data: numbers }) => sum + numbers.length, 0);
  const most = Math.max(1, Math.floor(mostNumbers / perExample));
  if (data.size > most) {
    ctx.report({
      type: "note",
      level: "info",
      code: "TEACHER_SAMPLE",
      message: `the dense network teaches on ${most} of ${data.size} examples: its outputs on all take too much memory`,
    });
  }
  const examples = data.size > most ? subset(data, sampleIndices(data.size, most, ctx.rng.fork("taught"))) : data;
  const outputs = mapTensors(first, ({ shape, data: numbers }) => ({
    shape: [examples.size, ...shape.slice(1)],
    data:
      numbers instanceof Float64Array
        ? new Float64Array(examples.size * numbers.length)
        : new Float32Array(examples.size * numbers.length),
  }));
  const largest = Math.max(
    perExample,
    data.inputs.reduce((sum, { shape }) => sum + sizeOfShape(shape), 0),
  );
  const step = Math.max(1, Math.min(1000, Math.floor(batchNumbers / largest)));
  for (let start = 0; start < examples.size; start += step) {
    const size = Math.min(step, examples.size - start);
    const indices = Uint32Array.from({ length: size }, (_, i) => start + i);
    const part = await model.run(await examples.batch(indices), ctx, reader);
    for (const [name, { data: numbers }] of Object.entries(part)) {
      outputs[name]!.data.set(numbers, start * (numbers.length / size));
    }
    await ctx.tick({ task: "teacher", done: start + size, total: examples.size });
  }
  return { data: withTargets(examples, outputs), fingerprint: hashTensors(outputs) };
}

function withTargets(data: Dataset, outputs: FloatTensors): Dataset {
  const { name, size, inputs } = data;
  const teacher = Object.entries(outputs).map(
    ([key, { shape, data: numbers }]): TensorSpec => ({
      name: key,
      shape: shape.slice(1),
      dtype: numbers instanceof Float64Array ? "f64" : "f32",
    }),
  );
  return {
    ...{ name, size, inputs },
    targets: [...(data.targets ?? []).filter((own) => !(own.name in outputs)), ...teacher],
    async batch(indices) {
      const batch = await data.batch(indices);
      const targets = { ...batch.targets, ...takeAllExamples(outputs, indices) };
      return { size: batch.size, inputs: batch.inputs, targets };
    },
  };
}
