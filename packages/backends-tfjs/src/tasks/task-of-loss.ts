/** The task that a model was compiled for: its loss, on outputs of its kind, against the targets that data have. */
import { binary, classification, positionClassification, regression, type Task } from "@secateur/core";
import { lossWithoutHessian } from "../errors.ts";
import type { OutputKind } from "../heads.ts";
import { type Tensor, type Tf, withOwnTape } from "../tf.ts";
import type { CompiledLoss, LossName } from "./loss-name.ts";
import { ofClasses } from "./of-classes.ts";
import { logOdds, logSigmoids, throughMap } from "./through-map.ts";

/** What decides a task. */
export interface CompiledOutput {
  /** The output's name. */
  readonly output: string;
  readonly kind: OutputKind;
  /** Extents of one example. */
  readonly shape: readonly (number | null)[];
  readonly loss: LossName;
  /** The function, for the loss "model". */
  readonly compiled?: CompiledLoss | undefined;
  readonly tf: Tf;
}

/**
 * A compiled loss as a task. Whether its targets are class numbers, one an example, or numbers like the output decides how they are compared.
 *
 * @param isClassNumbers - of the data's target
 */
export function taskOfLoss(spec: CompiledOutput, isClassNumbers: boolean): Task {
  const { output, kind, shape, loss } = spec;
  const columns = shape.at(-1) ?? 1;
  const isRow = shape.length <= 1;
  const compared = (inner: Task): Task => {
    if (!isClassNumbers || !isRow) return inner;
    // Scores are compared with 0 where the task reads scores, else as probabilities.
    return ofClasses(inner, { output, threshold: inner.valuesOf === undefined ? 0 : 0.5 });
  };
  switch (loss) {
    case "cross-entropy": {
      if (columns === 1) return compared(binary({ output }));
      if (!isRow) return positionClassification({ output });
      const inner = classification({ output });
      return kind === "sigmoid" ? throughMap(inner, { output, map: logSigmoids }) : inner;
    }
    case "binary-cross-entropy": {
      const inner = binary({ output });
      return compared(kind === "softmax" && columns !== 1 ? throughMap(inner, { output, map: logOdds }) : inner);
    }
    case "mse":
      return compared(regression({ output }));
    case "model":
      return compared(functionTask(spec.tf, { output, compiled: spec.compiled! }));
    default:
      return loss satisfies never;
  }
}

/** A loss that is only known as a function: it has values and slopes, and no Hessian. */
function functionTask(tf: Tf, { output, compiled }: { output: string; compiled: CompiledLoss }): Task {
  return {
    name: "compiled-loss",
    targetsFrom: "data",
    valuesOf: [output],
    loss({ outputs, targets, delta }) {
      const { shape, data } = outputs[output]!;
      const target = Object.values(targets ?? {})[0]!;
      const tensor = (values: ArrayLike<number | bigint>): Tensor =>
        tf.tensor(Float32Array.from(values as ArrayLike<number>, Number), [...shape]);
      const [y, t] = [tensor(data), tensor(target.data)];
      const losses = tf.tidy(() => compiled(t, y));
      const values = losses.dataSync();
      if (delta) {
        const slope = tf.grad((x) => compiled(t, x as Tensor).sum());
        const found = withOwnTape(tf, () => slope(y));
        delta[output]!.data.set(found.dataSync());
        found.dispose();
      }
      tf.dispose([y, t, losses]);
      let sum = 0;
      for (let i = 0; i < values.length; i++) sum += values[i]!;
      return { sum, count: values.length };
    },
    outputFactor() {
      throw lossWithoutHessian();
    },
    measures: [],
  };
}
