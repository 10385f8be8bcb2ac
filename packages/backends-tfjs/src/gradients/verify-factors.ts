/**
 * Whether factors tell the truth: a model may mix examples and positions in an order that shapes do not show, such as time first.
 * So rows made of factors are compared once with TensorFlow.js's own gradients, an example at a time; weights whose rows
 * differ are differentiated one example after the other from then on.
 */
import { type Dataset, inputRows, type Kernels } from "@secateur/core";
import type { InputLayout } from "../model-input.ts";
import type { OutputKind } from "../output-kind.ts";
import type { Tensor } from "../tf.ts";
import { addRows } from "./captured-rows.ts";
import { type Adapted, hostUses } from "./host-uses.ts";
import { plainGradients } from "./plain-gradients.ts";
import { disposeRecording, recordGradients } from "./record-gradients.ts";

/** Rounding differs between one order of sums and another, by far less than this fraction; mistaken rows by far more. */
const tolerance = 1e-3;

/** What is known of each model so far. */
const verified = new WeakMap<Adapted, Map<string, boolean>>();

/** Those of the parameters whose rows may be made of factors. The first call for a parameter compares, on two examples. */
export async function weightsWithFactors(
  adapted: Adapted,
  spec: { params: readonly string[]; data: Dataset; layout: InputLayout; kernels: Kernels },
): Promise<ReadonlySet<string>> {
  const known = verified.get(adapted) ?? new Map<string, boolean>();
  verified.set(adapted, known);
  const fresh = spec.params.filter((param) => !known.has(param));
  if (fresh.length > 0) {
    for (const [param, isTrue] of await compare(adapted, { ...spec, params: fresh })) known.set(param, isTrue);
  }
  return new Set(spec.params.filter((param) => known.get(param)));
}

async function compare(
  adapted: Adapted,
  spec: { params: readonly string[]; data: Dataset; layout: InputLayout; kernels: Kernels },
): Promise<ReadonlyMap<string, boolean>> {
  const { run, find, gradientKernels } = adapted;
  const { params, data, layout, kernels } = spec;
  const { tf, runnable } = run;
  const examples = Math.min(2, data.size, run.passSize);
  const inputs = inputRows(await data.batch(Uint32Array.from({ length: examples }, (_, i) => i)));
  const input = run.inputOf(inputs, layout);
  const weights = new Map(params.map((param) => [param, find(param).weight.tensor()]));
  const forward = (): Tensor => runnable.forward(input);
  const recording = recordGradients(tf, { weights, forward, delta: (output) => probeDelta(output, undefined) });
  const uses = await hostUses(recording.uses);
  const batch = recording.output.shape[0]!;
  const isTrue = new Map(params.map((param) => [param, uses.has(param) && !recording.others.has(param)]));
  for (let example = 0; example < examples; example++) {
    const delta = (output: Tensor, _kind: OutputKind): Tensor => probeDelta(output, example);
    const plain = plainGradients(tf, { weights, forward, delta });
    for (const [param, gradient] of plain.gradients) {
      if (!isTrue.get(param)) continue;
      const { canonical } = find(param);
      const row = new Float32Array(canonical.order.length);
      const runs = [[example, example + 1]] as const;
      addRows(
        { kernels, gradientKernels },
        { uses: uses.get(param)!, canonical, batch, runs, alpha: 1, row: () => row },
      );
      const values = await gradient.data();
      let [difference, size] = [0, 0];
      for (let k = 0; k < row.length; k++) {
        const expected = values[canonical.order[k]!]!;
        difference += (row[k]! - expected) ** 2;
        size += expected ** 2;
      }
      isTrue.set(param, Math.sqrt(difference) <= tolerance * Math.sqrt(size));
    }
    tf.dispose([plain.output, ...plain.gradients.values()]);
  }
  disposeRecording(tf, recording);
  input.dispose();
  return isTrue;

  /** Output gradients of no particular meaning that differ between examples and classes; of one example or of all. */
  function probeDelta(output: Tensor, only: number | undefined): Tensor {
    const [rows, classes] = output.shape as [number, number];
    const values = Float32Array.from({ length: rows * classes }, (_, i) => {
      const example = Math.floor(i / classes);
      return only === undefined || only === example ? Math.cos(1 + i) : 0;
    });
    return tf.tensor2d(values, [rows, classes]);
  }
}
