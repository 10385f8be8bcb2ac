import { asFloats, type Dataset, type Evaluation, evaluateBatches, type RunContext, type Task } from "@secateur/core";
import { load } from "@secateur/runtime";

/** Examples a run: enough for the kernels of matrices, little memory for images. */
const batchSize = 64;

/**
 * Loss and measures of a packed network, run as it will be run: what the file says is measured, not what it was made from.
 *
 * @param spec.name - of the model, for messages
 */
export async function packedAccuracy(
  spec: { readonly name: string; readonly bytes: Uint8Array; readonly data: Dataset; readonly task: Task },
  ctx: RunContext,
): Promise<Evaluation> {
  const { name, bytes, data, task } = spec;
  const session = await load(bytes, { batch: batchSize });
  const input = session.inputNames[0]!;
  const dims = session.dims[input]!;
  const padded = new Float32Array(dims.reduce((product, extent) => product * extent, 1));
  try {
    return await evaluateBatches(
      {
        ...{ model: name, data, task, batchSize },
        async outputsOf({ size, inputs }) {
          // The last batch may be short; what stands behind it is run and not looked at.
          padded.set(asFloats(Object.values(inputs)[0]!.data));
          const outputs = await session.run({ [input]: { data: padded, dims } });
          return Object.fromEntries(
            Object.entries(outputs).map(([output, tensor]) => {
              const row = tensor.data.length / batchSize;
              return [output, { shape: [size, ...tensor.dims.slice(1)], data: tensor.data.subarray(0, size * row) }];
            }),
          );
        },
      },
      ctx,
    );
  } finally {
    await session.close();
  }
}
