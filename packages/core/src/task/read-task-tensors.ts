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

/** Whether two lists of extents agree, extents of 1 left out. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  const [left, right] = [a, b].map((shape) => [shape[0], ...shape.slice(1).filter((extent) => extent !== 1)]);
  return left!.join() === right!.join();
}
