import type { Dataset, Dtype } from "@secateur/core";

/** Data for a network in f64: inputs in f32 are widened, batch by batch. A network in f32 takes its data as it is. */
export function inDtype(data: Dataset, dtype: Dtype): Dataset {
  if (dtype === "f32") return data;
  const { name, size, inputShape, classes } = data;
  return {
    ...{ name, size, inputShape, classes },
    async batch(indices) {
      const { inputs, labels } = await data.batch(indices);
      return { inputs: { ...inputs, data: Float64Array.from(inputs.data) }, labels };
    },
  };
}
