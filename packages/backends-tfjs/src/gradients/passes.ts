/** Passes over examples: what goes in, and the loss with its slope that a pass differentiates. */
import {
  checkedLoss,
  type FloatTensors,
  type GradientRequest,
  inputRows,
  type Kernels,
  type LossSum,
  type RunContext,
  type Task,
  type Tensors,
  targetsOf,
  zerosLike,
} from "@secateur/core";
import type { InputLayout } from "../model-input.ts";
import { firstExamples } from "../model-run.ts";
import type { Tensor } from "../tf.ts";
import type { Adapted } from "./host-uses.ts";
import type { Differentiable } from "./plain-gradients.ts";

/** One pass: examples [from, to) of the request. */
export interface Pass {
  readonly from: number;
  readonly to: number;
  readonly targets: Tensors | undefined;
  readonly input: Tensor;
  /** Computed before where the engine cannot be waited for within a gradient. */
  readonly outputs: FloatTensors | undefined;
}

/** A request whose task is settled. */
export type Posed<Request> = Request & { readonly task: Task };

export function added(a: LossSum, b: LossSum): LossSum {
  return { sum: a.sum + b.sum, count: a.count + b.count };
}

/** Runs over the examples of a request, as many at a time as a pass takes. */
export async function eachPass(
  { run }: Adapted,
  request: Posed<Pick<GradientRequest, "data" | "examples">> & { layout: InputLayout; ctx: RunContext },
  visit: (pass: Pass) => Promise<void>,
): Promise<void> {
  const { data, examples, layout, task } = request;
  for (let from = 0; from < examples.length; from += run.passSize) {
    const to = Math.min(from + run.passSize, examples.length);
    const batch = await data.batch(examples.subarray(from, to));
    // Reading an output makes the processor wait for the engine, which those on a GPU do not offer within a gradient.
    const isOnGpu = run.tf.getBackend() === "webgpu";
    const outputs = isOnGpu ? await run.outputsOf(batch, { layout, task }) : undefined;
    const input = run.inputOf(inputRows(batch), layout);
    try {
      await visit({ from, to, targets: targetsOf(task, batch), input, outputs });
    } finally {
      input.dispose();
    }
  }
}

/** What a pass differentiates: the task's summed loss by some weights; the loss and its slopes are there once it has run. */
export function lossOfPass(
  adapted: Adapted,
  spec: { params: readonly string[]; task: Task; pass: Pass; examples: Uint32Array; kernels: Kernels },
): { readonly computation: Differentiable; readonly loss: () => LossSum & { readonly slope?: FloatTensors } } {
  const { run, find } = adapted;
  const { params, pass } = spec;
  let loss: LossSum & { readonly slope?: FloatTensors } = { sum: 0, count: 0 };
  const computation: Differentiable = {
    weights: new Map(params.map((param) => [param, find(param).weight.tensor()])),
    forward: () => run.runnable.forward(pass.input),
    reader: run.readerFor(spec.task),
    outputs: pass.outputs,
    delta(outputs) {
      const delta = zerosLike(outputs);
      loss = { ...lossOf(run.name, spec, { outputs, delta }), slope: delta };
      return delta;
    },
  };
  return { computation, loss: () => loss };
}

/** The loss of a pass, with its slope where a `delta` is given. @throws ERR_NOT_FINITE naming the example */
export function lossOf(
  model: string,
  spec: { task: Task; pass: Pass; examples: Uint32Array; kernels: Kernels },
  { outputs, delta }: { outputs: FloatTensors; delta?: FloatTensors },
): LossSum {
  const { task, pass, examples, kernels } = spec;
  const count = pass.to - pass.from;
  const own = firstExamples(outputs, count);
  const slope = delta && firstExamples(delta, count);
  const loss = task.loss({ outputs: own, targets: pass.targets, kernels, ...(slope ? { delta: slope } : {}) });
  checkedLoss(loss, { task, model, outputs: own, example: (row) => examples[pass.from + row]! });
  return loss;
}
