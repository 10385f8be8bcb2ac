/** What a first run over an example of zeros tells about a model: its outputs, how often its weights are used, what its gradients are made of. */
import { zerosLike } from "@secateur/core";
import { notBatched, notDifferentiable } from "./errors.ts";
import { disposeRecording, type Recording, recordGradients } from "./gradients/record-gradients.ts";
import type { WeightUse } from "./gradients/weight-use.ts";
import type { OutputKind } from "./heads.ts";
import type { Runnable } from "./runnable.ts";
import type { Tf } from "./tf.ts";

/** What a run over one example shows. */
export interface ModelFacts {
  /** In the order of the outputs; undefined while no example has been seen of a model without gradients. */
  readonly kinds: readonly (OutputKind | undefined)[];
  /** Of one example, in the order of the outputs; undefined where not known. */
  readonly shapes: readonly (readonly (number | null)[] | undefined)[];
  /** Multiply-adds of an example per weight, by name. */
  readonly positions: ReadonlyMap<string, number>;
  /** Weights whose rows stay factored: one matrix product with one vector an example. */
  readonly factored: ReadonlySet<string>;
  /** Whether all prunable weights are such. */
  readonly isDenseChain: boolean;
  /** Whether second moments can be taken: each prunable weight multiplies inputs once, in one product or convolution. */
  readonly hasMoments: boolean;
  /** Why there are no gradients. */
  readonly problem?: unknown;
}

/** Runs the model once. @throws ERR_TFJS_MODEL for an output whose first dimension does not count examples */
export function probeModel(spec: { tf: Tf; name: string; runnable: Runnable; shape: readonly number[] }): ModelFacts {
  const { tf, name, runnable, shape } = spec;
  const weights = new Map(runnable.weights.filter(({ role }) => role).map((weight) => [weight.name, weight.tensor()]));
  const examples = runnable.input.batch ?? 1;
  const input = tf.zeros([examples, ...shape], runnable.input.dtype);
  const names = runnable.outputs.map((output) => output.name);
  try {
    const recording = recordGradients(tf, {
      weights,
      forward: () => runnable.forward(input),
      reader: { names, asValues: () => false },
      // The summed outputs stand in for the loss.
      delta(outputs) {
        for (const [output, { shape: found }] of Object.entries(outputs)) {
          if (found[0] !== examples) throw notBatched({ model: name, output, found, examples });
        }
        const ones = zerosLike(outputs);
        for (const { data } of Object.values(ones)) data.fill(1);
        return ones;
      },
    });
    const facts = factsOf({ recording, examples, weights: [...weights.keys()] });
    disposeRecording(tf, recording);
    return facts;
  } catch (problem) {
    if (runnable.outputs.some((output) => output.shape === undefined) || isMismatch(problem)) throw problem;
    // Not differentiable, it can still be evaluated and pruned by magnitude.
    return {
      kinds: names.map(() => undefined),
      shapes: runnable.outputs.map((output) => output.shape),
      positions: new Map(),
      factored: new Set(),
      isDenseChain: false,
      hasMoments: false,
      problem: notDifferentiable({ model: name, cause: problem }),
    };
  } finally {
    input.dispose();
  }
}

function isMismatch(problem: unknown): boolean {
  return problem instanceof Error && "code" in problem && problem.code === "ERR_TFJS_MODEL";
}

function factsOf(spec: { recording: Recording; examples: number; weights: readonly string[] }): ModelFacts {
  const { recording, examples, weights } = spec;
  const { outputs, uses, others, kinds } = recording;
  const positions = new Map<string, number>();
  const count = new Map<string, number>();
  const whole = new Set<string>();
  for (const one of uses) {
    const here = positionsOf(one) / examples;
    const share = one.use.kind === "matmul" ? one.use.width / one.use.of : 1;
    positions.set(one.weight, (positions.get(one.weight) ?? 0) + here * share);
    count.set(one.weight, (count.get(one.weight) ?? 0) + 1);
    if (one.use.kind === "matmul" && one.use.column === 0 && here === 1) whole.add(one.weight);
  }
  const factored = new Set([...whole].filter((weight) => count.get(weight) === 1 && !others.has(weight)));
  const shapes = Object.values(outputs).map(({ shape }) => shape.slice(1));
  const once = new Set(uses.flatMap(({ weight, use }) => (isWholeUse(use) ? [weight] : [])));
  return {
    kinds,
    shapes,
    positions,
    factored,
    // Products with the Jacobian are taken for one row of outputs an example.
    isDenseChain:
      weights.length > 0 && shapes.length === 1 && shapes[0]!.length < 2 && weights.every((one) => factored.has(one)),
    hasMoments: weights.every((one) => once.has(one) && count.get(one) === 1 && !others.has(one)),
  };
}

/** Whether inputs meet all of a weight, and its outputs are those of the layer. */
function isWholeUse(use: WeightUse["use"]): boolean {
  return use.kind === "matmul" ? use.width === use.of : use.kind !== "conv-transpose";
}

/** Output positions of a use, over all examples. */
function positionsOf({ use, input }: WeightUse): number {
  switch (use.kind) {
    case "matmul":
      return input.size / input.shape[input.shape.length - 1]!;
    case "conv":
    case "depthwise":
      return use.geometry.batch * use.geometry.outHeight * use.geometry.outWidth;
    case "conv-transpose":
      return input.size / input.shape[3]!;
    default:
      return use satisfies never;
  }
}
