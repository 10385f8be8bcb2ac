import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { normals, useEngine } from "../testing.test-support.ts";
import { type ConvGeometry, convGeometry } from "./conv-geometry.ts";
import { createGradientKernels } from "./gradient-kernels.ts";
import { registerGradientKernels } from "./register-kernels.ts";

/** Height, width, channels, outputs (or multiplier), taps, strides, dilations: odd ones. */
const shapes = [
  { size: [5, 7, 3], out: 4, taps: [3, 3], strides: [1, 1], dilations: [1, 1] },
  { size: [6, 5, 1], out: 9, taps: [2, 3], strides: [2, 1], dilations: [1, 1] },
  { size: [9, 8, 5], out: 1, taps: [1, 1], strides: [3, 2], dilations: [1, 1] },
  { size: [8, 9, 4], out: 8, taps: [4, 2], strides: [1, 1], dilations: [1, 1] },
  { size: [11, 10, 2], out: 3, taps: [3, 2], strides: [1, 1], dilations: [2, 3] },
  { size: [4, 4, 17], out: 2, taps: [3, 3], strides: [2, 2], dilations: [1, 1] },
] as const;
const pads = [
  "same",
  "valid",
  1,
  [
    [0, 0],
    [2, 0],
    [0, 1],
    [0, 0],
  ],
] as const;

type Case = (typeof shapes)[number];
type Pad = (typeof pads)[number];

/** Sums of up to a few hundred products of normal numbers in f32, in another order. */
const tolerance = 1e-5;

describe("the gradient kernels of the wasm engine", () => {
  beforeAll(() => useEngine("wasm"));

  test("fill the gaps that it has, once", () => {
    for (const name of ["Conv2DBackpropFilter", "DepthwiseConv2dNativeBackpropInput", "UnsortedSegmentSum"]) {
      expect(tf.getKernel(name, "wasm")).toBeDefined();
    }
    expect(registerGradientKernels(tf)).toEqual([]);
  });

  for (const pad of pads) {
    for (const shape of shapes) {
      const about = `${shape.size.join("x")}, taps ${shape.taps}, strides ${shape.strides}, dilations ${shape.dilations}, pad ${JSON.stringify(pad)}`;
      const isDilated = shape.dilations.some((extent) => extent > 1);
      if (!isDilated) {
        test(`Conv2DBackpropFilter agrees with the cpu engine: ${about}`, async () => {
          await agrees(() => convGradient(shape, pad));
        });
      }
      // The cpu engine's depthwise gradients leave dilation out, so dilated ones are compared with the definition.
      if (!isDilated) {
        test(`the depthwise gradients agree with the cpu engine: ${about}`, async () => {
          await agrees(() => depthwiseGradients(shape, pad));
        });
      }
      test(`every gradient is the adjoint of the convolution: ${about}`, () => {
        for (const depthwise of [false, true]) adjoint(shape, pad, { depthwise });
      });
    }
  }

  test("UnsortedSegmentSum agrees with the cpu engine, and leaves out ids out of range", async () => {
    for (const cols of [1, 4, 7]) {
      await agrees(() => {
        const x = tf.tensor2d(normals(3, 30 * cols), [30, cols]);
        return [
          tf.unsortedSegmentSum(
            x,
            tf.tensor1d(
              Array.from({ length: 30 }, (_, i) => (i * 7) % 5),
              "int32",
            ),
            5,
          ),
        ];
      });
    }
    await agrees(() => [tf.unsortedSegmentSum(tf.tensor1d([1, 2, 4]), tf.tensor1d([0, -1, 1], "int32"), 3)]);
  });

  test("a convolutional model with an embedding trains as on the cpu engine", async () => {
    const losses: number[] = [];
    for (const engine of ["wasm", "cpu"] as const) {
      await useEngine(engine);
      const init = (seed: number) => tf.initializers.heNormal({ seed });
      const model = tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 6, outputDim: 4, inputLength: 8, embeddingsInitializer: init(1) }),
          tf.layers.reshape({ targetShape: [8, 4, 1] }),
          tf.layers.conv2d({
            filters: 3,
            kernelSize: 3,
            padding: "same",
            kernelInitializer: init(2),
            activation: "relu",
          }),
          tf.layers.depthwiseConv2d({ kernelSize: 2, depthwiseInitializer: init(3) }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 2, activation: "softmax", kernelInitializer: init(4) }),
        ],
      });
      model.compile({ optimizer: tf.train.sgd(0.1), loss: "categoricalCrossentropy" });
      const x = tf.tensor2d(
        Array.from({ length: 80 }, (_, i) => (i * 5) % 6),
        [10, 8],
      );
      const y = tf.oneHot(tf.range(0, 10, 1, "int32").mod(tf.scalar(2, "int32")), 2).toFloat();
      for (let step = 0; step < 5; step++) losses.push((await model.trainOnBatch(x, y)) as number);
    }
    await useEngine("wasm");
    expect(losses[4]).toBeLessThan(losses[0]!);
    // Five steps of f32 rounding.
    losses.slice(0, 5).forEach((loss, i) => {
      expect(loss).toBeCloseTo(losses[5 + i]!, 5);
    });
  });
});

async function agrees(compute: () => tf.Tensor[]): Promise<void> {
  const results: Float32Array[][] = [];
  for (const engine of ["wasm", "cpu"] as const) {
    await useEngine(engine);
    const tensors = tf.tidy(compute);
    results.push(tensors.map((tensor) => tensor.dataSync() as Float32Array));
    tf.dispose(tensors);
  }
  await useEngine("wasm");
  const [found, expected] = results as [Float32Array[], Float32Array[]];
  expected.forEach((values, i) => {
    const scale = Math.max(1, ...values.map(Math.abs));
    expect(found[i]).toHaveLength(values.length);
    const worst = values.reduce((most, value, k) => Math.max(most, Math.abs(value - found[i]![k]!)), 0);
    expect(worst / scale).toBeLessThan(tolerance);
  });
}

/** The kernel's own call: TensorFlow.js refuses to differentiate dilated convolutions, though its kernels take them. */
function convGradient(spec: Case, pad: Pad): tf.Tensor[] {
  const { x, filterShape, outShape } = operands(spec, { pad, depthwise: false });
  const dy = tf.tensor(normals(3, product(outShape)), outShape);
  const { strides } = spec;
  const attributes = { strides, pad, dataFormat: "NHWC", filterShape };
  return [
    tf.engine().runKernel("Conv2DBackpropFilter", { x, dy }, attributes as unknown as tf.NamedAttrMap),
  ] as tf.Tensor[];
}

function depthwiseGradients(spec: Case, pad: Pad): tf.Tensor[] {
  const { x, filterShape, outShape } = operands(spec, { pad, depthwise: true });
  const dy = tf.tensor(normals(3, product(outShape)), outShape);
  const filter = tf.tensor(normals(2, product(filterShape)), filterShape);
  const { strides, dilations } = spec;
  const attributes = { strides, pad, dilations, filterShape, inputShape: x.shape } as unknown as tf.NamedAttrMap;
  return [
    tf.engine().runKernel("DepthwiseConv2dNativeBackpropFilter", { x, dy }, attributes),
    tf.engine().runKernel("DepthwiseConv2dNativeBackpropInput", { dy, filter }, attributes),
  ] as tf.Tensor[];
}

function operands(spec: Case, { pad, depthwise }: { pad: Pad; depthwise: boolean }) {
  const { size, out, taps, strides, dilations } = spec;
  const filterShape = [...taps, size[2], out];
  const x = tf.tensor(normals(1, 2 * product(size)), [2, ...size]);
  type Info = Parameters<typeof tf.backend_util.computeConv2DInfo>;
  const info = tf.backend_util.computeConv2DInfo(
    x.shape as Info[0],
    filterShape as unknown as Info[1],
    [...strides],
    depthwise ? [...dilations] : 1,
    pad as Info[4],
    undefined,
    depthwise,
  );
  return { x, filterShape, outShape: info.outShape as number[] };
}

function product(extents: readonly number[]): number {
  return extents.reduce((result, extent) => result * extent, 1);
}

/** <dy, conv(x, V)> = <dW, V> for any V, and <dy, conv(z, W)> = <dx, z> for any z. */
function adjoint(spec: Case, pad: Pad, { depthwise }: { depthwise: boolean }): void {
  const { size, out, taps, strides, dilations } = spec;
  const filter = [...taps, size[2], out];
  const attributes = { strides, pad, dilations } as unknown as tf.NamedAttrMap;
  const geometry = convGeometry(tf, { input: [2, ...size], filter, attributes, depthwise })!;
  const kernels = createGradientKernels();
  const x = normals(1, 2 * product(size));
  const V = normals(2, product(filter));
  const dy = normals(3, 2 * geometry.outHeight * geometry.outWidth * geometry.outChannels);
  let found = 0;
  const each = (gradient: Float32Array): void => {
    found += inner(gradient, V);
  };
  const images = {
    geometry,
    x,
    dy,
    runs: [
      [0, 1],
      [1, 2],
    ] as const,
  };
  if (depthwise) kernels.depthwiseFilterGradient(images, each);
  else kernels.filterGradient(images, each);
  const expected = inner(dy, convolve(geometry, { x, filter: V, depthwise }));
  // Both are sums of thousands of f32 products.
  expect(Math.abs(found - expected) / Math.hypot(...dy)).toBeLessThan(1e-4);
  if (!depthwise) return;
  const dx = new Float32Array(x.length);
  kernels.depthwiseInputGradient({ geometry, dy, filter: V, out: dx });
  expect(Math.abs(inner(dx, x) - expected) / Math.hypot(...dy)).toBeLessThan(1e-4);
}

/** The definition of a convolution, tap by tap. */
function convolve(
  geometry: ConvGeometry,
  { x, filter, depthwise }: { x: Float32Array; filter: Float32Array; depthwise: boolean },
): Float64Array {
  const g = geometry;
  const y = new Float64Array(g.batch * g.outHeight * g.outWidth * g.outChannels);
  const multiplier = g.outChannels / g.inChannels;
  for (let place = 0; place < y.length; place++) {
    const o = place % g.outChannels;
    const ox = Math.floor(place / g.outChannels) % g.outWidth;
    const oy = Math.floor(place / g.outChannels / g.outWidth) % g.outHeight;
    const n = Math.floor(place / g.outChannels / g.outWidth / g.outHeight);
    for (let ky = 0; ky < g.filterHeight; ky++) {
      for (let kx = 0; kx < g.filterWidth; kx++) {
        const iy = oy * g.strideHeight + ky * g.dilationHeight - g.padTop;
        const ix = ox * g.strideWidth + kx * g.dilationWidth - g.padLeft;
        if (iy < 0 || ix < 0 || iy >= g.inHeight || ix >= g.inWidth) continue;
        const pixel = ((n * g.inHeight + iy) * g.inWidth + ix) * g.inChannels;
        const tap = ky * g.filterWidth + kx;
        if (depthwise) y[place]! += x[pixel + Math.floor(o / multiplier)]! * filter[tap * g.outChannels + o]!;
        for (let c = 0; c < g.inChannels && !depthwise; c++) {
          y[place]! += x[pixel + c]! * filter[(tap * g.inChannels + c) * g.outChannels + o]!;
        }
      }
    }
  }
  return y;
}

function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}
