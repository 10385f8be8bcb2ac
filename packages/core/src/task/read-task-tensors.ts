/** Which output and which target a task reads, and whether they fit. */
import { formatShape, sizeOfShape, type Tensor, type TypedArray } from "../data/tensor.ts";
import { labelOutOfRange, taskMismatch } from "../errors.ts";

/** Names a task may be given; default: the only output, the only target. */
export interface TaskNames {
  /** Name of the output it reads. */
  readonly output?: string | undefined;
  /** Name of the target it compares it with. */
  readonly target?: string | undefined;
}

/** The tensor of a name, or the only one. @throws ERR_TASK */
export function readTensor<One extends Tensor>(
  tensors: Readonly<Record<string, One>> | undefined,
  spec: { task: string; what: "output" | "target"; name: string | undefined },
): One & { readonly name: string } {
  const { task, what, name } = spec;
  const known = Object.keys(tensors ?? {});
  const chosen = name ?? (known.length === 1 ? known[0] : undefined);
  const found = chosen === undefined ? undefined : tensors?.[chosen];
  if (found) return { ...found, name: chosen! };
  if (known.length === 0) {
    throw taskMismatch({
      task,
      found: `no ${what}s`,
      remedy:
        what === "target"
          ? "give data with targets, or a task that needs none (distillation)"
          : "take a model that computes some",
    });
  }
  throw taskMismatch({
    task,
    found: name === undefined ? `${known.length} ${what}s (${known.join(", ")})` : `no ${what} '${name}'`,
    remedy: `name one of ${known.join(", ")}, or weigh tasks over several`,
  });
}

/**
 * Class numbers as whole numbers below `classes`.
 *
 * @param spec.ignore - a label that stands for "does not count"; it is kept as it is
 * @throws ERR_LABEL_RANGE naming the first example with another number
 */
export function readLabels(
  target: Tensor & { readonly name: string },
  spec: { task: string; classes: number; ignore?: number | undefined },
): Uint32Array | Int32Array {
  const { data, shape, name } = target;
  const { task, classes, ignore } = spec;
  const labels = wholeNumbers(data);
  for (let i = 0; i < labels.length; i++) {
    const label = Number(data[i]);
    if (label === ignore || (label === labels[i] && label >= 0 && label < classes)) continue;
    const perExample = Math.max(1, sizeOfShape(shape.slice(1)));
    throw labelOutOfRange({ where: `task ${task}: ${name}`, index: Math.floor(i / perExample), label, classes });
  }
  return labels;
}

function wholeNumbers(data: TypedArray): Uint32Array | Int32Array {
  if (data instanceof Uint32Array || data instanceof Int32Array) return data;
  return data instanceof BigInt64Array ? Int32Array.from(data, Number) : Int32Array.from(data);
}

/** Shapes in words, for messages: output 'scores' [8, 10] and target 'labels' [8]. */
export function describePair(output: { name: string } & Tensor, target: { name: string } & Tensor): string {
  return `output '${output.name}' ${formatShape(output.shape)} and target '${target.name}' ${formatShape(target.shape)}`;
}

/** What to do with an output and a target: the tasks that would take them, by their shapes and types. */
export function fittingTasks(output: Tensor, target: Tensor): string {
  const names = tasksFor(output, target, target.data);
  return names.length === 0 ? `to this output fit ${fittingTargets(output.shape)}` : `these fit ${names.join(", ")}`;
}

/** Targets that first-party tasks compare with an output, in words. */
function fittingTargets([size = 1, ...shape]: readonly number[]): string {
  const of = (...extents: readonly number[]): string => formatShape([size, ...extents]);
  const numbers = `${of(...shape)} of numbers (regression) or of 0 and 1 (binary)`;
  const classes = shape.length > 1 ? shape.at(-1)! : sizeOfShape(shape);
  if (classes < 2) return `targets ${numbers}`;
  const task = shape.length > 1 ? "position-classification" : "classification";
  return `targets ${of(...shape.slice(0, -1))} of class numbers below ${classes} (${task}), and ${numbers}`;
}

/** First-party tasks for shapes with the examples in front, the likeliest first. */
export function tasksFor(
  output: { readonly shape: readonly number[] },
  target: { readonly shape: readonly number[] },
  type: Tensor["data"] | "whole" | "fractional",
): readonly string[] {
  const isWhole =
    type === "whole" || !(type === "fractional" || type instanceof Float32Array || type instanceof Float64Array);
  const [wanted, given] = [sizeOfShape(target.shape.slice(1)), sizeOfShape(output.shape.slice(1))];
  const isRow = output.shape.slice(2).every((extent) => extent === 1);
  const byPosition =
    output.shape.slice(0, -1).join() === target.shape.join() ||
    [output.shape[0], ...output.shape.slice(2)].join() === target.shape.join();
  const names: string[] = [];
  if (isWhole && wanted === 1 && given > 1 && isRow) names.push("classification");
  else if (isWhole && byPosition && output.shape.length > 2) names.push("position-classification");
  if (wanted === given) names.push(...(isWhole ? ["binary", "regression"] : ["regression", "binary"]));
  return names;
}
