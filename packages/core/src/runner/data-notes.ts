/** What in the data or in the dense network keeps a run from telling weights apart: said before it begins. */
import { type Dataset, labelName } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import type { Tensors } from "../data/tensor.ts";
import type { Note } from "../problem/note.ts";
import { isPruneError } from "../prune-error.ts";
import { quietContext, type RunContext } from "../run-context.ts";

/** Examples that are looked at. */
const probes = 256;
/** Below so many held-out examples one or two decide which step is accepted. */
const few = 20;

/**
 * Notes on the examples on which steps are accepted.
 *
 * @param spec.examples - how many training examples there are in all
 */
export async function dataNotes(
  spec: { model: Model; accept: Dataset; isHeldOut: boolean; examples: number },
  ctx: RunContext,
): Promise<readonly Note[]> {
  const { model, accept, isHeldOut, examples } = spec;
  const count = Math.min(probes, accept.size);
  if (count < 2) return [];
  const warn = (code: string, message: string): Note => ({ code, level: "warn", message });
  const notes: Note[] = [];
  const batch = await accept.batch(Uint32Array.from({ length: count }, (_, i) => i));
  if (areAlike(batch.inputs, count)) {
    notes.push(
      warn(
        "constant-inputs",
        `the inputs of all ${count} examples looked at are the same, so no weight can be told from another by its input; check how the data are read and normalised`,
      ),
    );
  } else if (await givesConstants(model, batch, count, ctx)) {
    notes.push(
      warn(
        "constant-outputs",
        `the network gives the same output for all ${count} examples looked at before anything is pruned: it has learned nothing, or a layer passes nothing on; check the checkpoint`,
      ),
    );
  }
  const labels = batch.targets?.[labelName];
  const classes = accept.targets?.find(({ name }) => name === labelName)?.classes;
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

async function givesConstants(
  model: Model,
  batch: Awaited<ReturnType<Dataset["batch"]>>,
  count: number,
  ctx: RunContext,
): Promise<boolean> {
  if (!model.run) return false;
  try {
    return areAlike(await model.run(batch, quietContext(ctx)), count);
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
