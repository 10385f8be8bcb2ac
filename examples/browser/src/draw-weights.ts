/** Draws a layer of neurons over images as one square a neuron. */

const side = 28;
const across = 10;
const gap = 2;

/** Draws w [neurons, 784] row-major: blue positive, orange negative, transparent where a weight is zero. */
export function drawWeights(canvas: HTMLCanvasElement, w: Float32Array): void {
  const neurons = w.length / (side * side);
  canvas.width = across * (side + gap);
  canvas.height = Math.ceil(neurons / across) * (side + gap);
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(canvas.width, canvas.height);
  const largest = w.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  for (let i = 0; i < w.length; i++) {
    const value = w[i]!;
    if (value === 0) continue;
    const neuron = Math.floor(i / (side * side));
    const x = (neuron % across) * (side + gap) + (i % side);
    const y = Math.floor(neuron / across) * (side + gap) + (Math.floor(i / side) % side);
    // The square root lets small weights be seen beside the largest.
    const strength = Math.round(70 + 185 * Math.sqrt(Math.abs(value) / largest));
    image.data.set(value > 0 ? [59, 130, 246, strength] : [232, 129, 58, strength], 4 * (y * canvas.width + x));
  }
  context.putImageData(image, 0, 0);
}
