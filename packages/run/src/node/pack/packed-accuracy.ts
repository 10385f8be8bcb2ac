import { batches, type Dataset, type Evaluation, type RunContext } from "@secateur/core";
import { load } from "@secateur/runtime";

/** Examples a run: enough for the kernels of matrices, little memory for images. */
const batchSize = 64;

/**
 * Accuracy (percent; a tie goes to the lower class) and mean cross-entropy (nats) of a packed network, run as it will be run: what
 * the file says is measured, not what it was made from.
 */
export async function packedAccuracy(bytes: Uint8Array, data: Dataset, ctx: RunContext): Promise<Evaluation> {
  const session = await load(bytes, { batch: batchSize });
  try {
    const [input, output] = [session.inputNames[0]!, session.outputNames[0]!];
    const dims = session.dims[input]!;
    const padded = new Float32Array(dims.reduce((product, extent) => product * extent, 1));
    let [correct, loss, seen] = [0, 0, 0];
    for await (const { inputs, labels } of batches(data, batchSize)) {
      // The last batch may be short; what stands behind it is run and not looked at.
      padded.set(inputs.data);
      const { data: logits } = (await session.run({ [input]: { data: padded, dims } }))[output]!;
      const classes = logits.length / batchSize;
      labels.forEach((label, i) => {
        const row = logits.subarray(i * classes, (i + 1) * classes);
        const largest = row.reduce((most, value) => Math.max(most, value));
        if (row.indexOf(largest) === label) correct++;
        loss += largest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0)) - row[label]!;
      });
      seen += labels.length;
      await ctx.tick({ task: "evaluate packed", done: seen, total: data.size });
    }
    return { accuracy: (100 * correct) / seen, loss: loss / seen, examples: seen };
  } finally {
    await session.close();
  }
}
