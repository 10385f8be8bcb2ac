/** So many windows for each input of a weight row, and never fewer examples than this: for their time; how far A is off by them was not measured. */
const windowsPerInput = 32;
const leastExamples = 128;

/**
 * Over how many of the examples the second moment A of a layer's inputs is taken: in^2 / 2 multiply-adds a window are the dearest part of
 * second moments, and a convolution has many windows an example.
 *
 * @param spec.examples - that there are
 * @param spec.inputs - of a row of the layer's weights
 * @param spec.positions - windows an example
 */
export function momentExamples(spec: { examples: number; inputs: number; positions: number }): number {
  const { examples, inputs, positions } = spec;
  return Math.min(examples, Math.max(leastExamples, Math.ceil((windowsPerInput * inputs) / positions)));
}
