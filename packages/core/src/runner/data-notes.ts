/** What in the data or in the dense network keeps a run from telling weights apart: said before it begins. */
import { type Batch, type Dataset, labelName } from "../data/dataset.ts";
import { hashTensors } from "../data/hash-tensors.ts";
import type { Model } from "../data/model.ts";
import { type Tensors, takeAllExamples, takeExamples } from "../data/tensor.ts";
import type { Note } from "../problem/note.ts";
import { isPruneError } from "../prune-error.ts";
import { quietContext, type RunContext } from "../run-context.ts";
import type { Task } from "../task/task.ts";

/** Examples that are looked at, and for contradictions among the others. */
const probes = 256;
const comparedProbes = 1024;
const fewProbes = 8;
/** Contradictory labels are worth a warning from this share of the examples on: less is the noise of most data. */
const manyContradictions = 0.05;
/** Below so many held-out examples one or two decide which step is accepted. */
const few = 20;

/**
 * Notes on the examples on which steps are accepted, and on the others, of which gradients are taken.
 *
 * @param spec.others - absent: none
 * @param spec.task - what the outputs mean; labels that it does not read contradict nothing
 * @param spec.examples - how many training examples there are in all
 */
export async function dataNotes(
  spec: { model: Model; accept: Dataset; others?: Dataset; task: Task; isHeldOut: boolean; examples: number },
  ctx: RunContext,
): Promise<readonly Note[]> {
  const { model, accept, isHeldOut, examples } = spec;
  const count = Math.min(probes, accept.size);
  if (count < 2) return [];
  const warn = (code: string, message: string): Note => ({ code, level: "warn", message });
  const notes: Note[] = [];
  const batch = await firstOf(accept, count);
  const classes = accept.targets?.find(({ name }) => name === labelName)?.classes;
  if (areAlike(batch.inputs, count)) {
    notes.push(
      warn(
        "constant-inputs",
        `the inputs of all ${count} examples looked at are the same, so no weight can be told from another by its input; check how the data are read and normalised`,
      ),
    );
  } else {
    if (await givesConstants({ model, data: accept, batch, count }, ctx)) {
      notes.push(
        warn(
          "constant-outputs",
          `the network gives the same output for all ${count} examples looked at before anything is pruned: it has learned nothing, or a layer passes nothing on; check the checkpoint`,
        ),
      );
    }
    const more = spec.others ? [await firstOf(spec.others, Math.min(comparedProbes, spec.others.size))] : [];
    const { contradicting, seen } =
      classes !== undefined && spec.task.targetsFrom === "data" && spec.task.targetKind !== "values"
        ? contradictions([batch, ...more])
        : noContradictions;
    if (contradicting > manyContradictions * seen) {
      notes.push(
        warn(
          "contradictory-labels",
          `${contradicting} of ${seen} examples looked at have the inputs of another example and not its label: no network can meet both, so their loss stays high whatever is pruned; check how inputs and labels are paired`,
        ),
      );
    }
  }
  const labels = batch.targets?.[labelName];
  if (labels && classes !== undefined && classes > 1) {
    if (labels.data.every((label) => label === labels.data[0])) {
      notes.push(
        warn(
          "one-class",
          `all ${count} examples looked at are of class ${labels.data[0]} of ${classes}: what the other classes need is pruned unseen; give examples of every class`,
        ),
      );
    }
    if (examples < classes) {
      notes.push(
        warn(
          "few-examples",
          `there are ${examples} training examples for ${classes} classes: some class is never seen; give more`,
        ),
      );
    }
  }
  if (isHeldOut && accept.size < few) {
    notes.push({
      code: "few-held-out",
      level: "debug",
      message: `only ${accept.size} held-out examples decide which steps are accepted, which says little about others; give more training examples`,
    });
  }
  return notes;
}

async function firstOf(data: Dataset, count: number): Promise<Batch> {
  return await data.batch(Uint32Array.from({ length: count }, (_, i) => i));
}

const noContradictions = { contradicting: 0, seen: 0 };

/** How many examples have the inputs of another and other labels. */
function contradictions(batches: readonly Batch[]): { contradicting: number; seen: number } {
  /** By inputs, the labels of each example that has them. */
  const labelsOf = new Map<string, string[]>();
  let seen = 0;
  for (const { inputs, targets, size } of batches) {
    const labels = targets?.[labelName];
    if (!labels) continue;
    for (let e = 0; e < size; e++) {
      const one = Uint32Array.of(e);
      const key = hashTensors(takeAllExamples(inputs, one));
      const same = labelsOf.get(key) ?? [];
      same.push(takeExamples(labels, one).data.join());
      labelsOf.set(key, same);
    }
    seen += size;
  }
  let contradicting = 0;
  for (const labels of labelsOf.values())
    if (labels.some((label) => label !== labels[0])) contradicting += labels.length;
  return { contradicting, seen };
}

async function givesConstants(
  { model, data, batch, count }: { model: Model; data: Dataset; batch: Batch; count: number },
  ctx: RunContext,
): Promise<boolean> {
  if (!model.run) return false;
  // Nearly always the first few differ.
  const few = Math.min(fewProbes, count);
  const first = few === count ? batch : await firstOf(data, few);
  try {
    if (!areAlike(await model.run(first, quietContext(ctx)), few)) return false;
    return few === count || areAlike(await model.run(batch, quietContext(ctx)), count);
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_NOT_FINITE") return false;
    throw error;
  }
}

/** Whether all examples have the same numbers. */
export function areAlike(tensors: Tensors, count: number): boolean {
  return Object.values(tensors).every(({ data }) => {
    const perExample = data.length / count;
    for (let e = perExample; e < data.length; e++) if (data[e] !== data[e - perExample]) return false;
    return true;
  });
}
