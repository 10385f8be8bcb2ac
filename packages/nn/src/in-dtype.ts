import { type Batch, type Dataset, type Dtype, mapTensors, type Tensor } from "@secateur/core";

/** Data for a network in f64: inputs in f32 are widened, batch by batch. A network in f32 takes its data as it is. */
export function inDtype(data: Dataset, dtype: Dtype): Dataset {
  if (dtype === "f32") return data;
  const { name, size, inputs, targets } = data;
  return {
    ...{ name, size, inputs },
    ...(targets ? { targets } : {}),
    batch: async (indices) => batchInDtype(await data.batch(indices), dtype),
  };
}

/** The same for one batch. */
export function batchInDtype(batch: Batch, dtype: Dtype): Batch {
  return dtype === "f32" ? batch : { ...batch, inputs: mapTensors(batch.inputs, widened) };
}

function widened({ shape, data }: Tensor): Tensor {
  return { shape, data: data instanceof BigInt64Array ? Float64Array.from(data, Number) : Float64Array.from(data) };
}
