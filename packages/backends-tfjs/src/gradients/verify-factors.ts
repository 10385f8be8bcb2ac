/**
 * Whether factors tell the truth: a model may mix examples and positions in an order that shapes do not show, such as time first.
 * So rows made of factors are compared once with TensorFlow.js's own gradients, an example at a time; weights whose rows
 * differ are differentiated one example after the other from then on.
 */
import { type Dataset, type FloatTensors, inputRows, type Kernels, zerosLike } from "@secateur/core";
import type { InputLayout } from "../model-input.ts";
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
  const batch = await data.batch(Uint32Array.from({ length: examples }, (_, i) => i));
  const input = run.inputOf(inputRows(batch), layout);
  const weights = new Map(params.map((param) => [param, find(param).weight.tensor()]));
  const outputs = tf.getBackend() === "webgpu" ? await run.outputsOf(batch, { layout }) : undefined;
  const pass = { weights, forward: () => runnable.forward(input), reader: run.readerFor(undefined), outputs };
  const recording = recordGradients(tf, { ...pass, delta: (found) => probeDelta(found, undefined) });
  const uses = await hostUses(recording.uses);
  const count = input.shape[0]!;
  const isTrue = new Map(params.map((param) => [param, uses.has(param) && !recording.others.has(param)]));
  for (let example = 0; example < examples; example++) {
    const plain = plainGradients(tf, { ...pass, delta: (found) => probeDelta(found, example) });
    for (const [param, gradient] of plain.gradients) {
      if (!isTrue.get(param)) continue;
      const { canonical } = find(param);
      const row = new Float32Array(canonical.order.length);
      const runs = [[example, example + 1]] as const;
      addRows(
        { kernels, gradientKernels },
        { uses: uses.get(param)!, canonical, batch: count, runs, alpha: 1, row: () => row },
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
    tf.dispose([...plain.gradients.values()]);
  }
  disposeRecording(tf, recording);
  input.dispose();
  return isTrue;

  /** Output gradients of no particular meaning that differ between examples and numbers; of one example or of all. */
  function probeDelta(found: FloatTensors, only: number | undefined): FloatTensors {
    const delta = zerosLike(found);
    for (const { shape, data: values } of Object.values(delta)) {
      const size = values.length / shape[0]!;
      for (let i = 0; i < values.length; i++) {
        if (only === undefined || only === Math.floor(i / size)) values[i] = Math.cos(1 + i);
      }
    }
    return delta;
  }
}
