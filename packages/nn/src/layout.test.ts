import { arrayDataset, type Batch, createRng, createRunContext, type Dataset, inputRows, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { architecture } from "./architectures/architectures.ts";
import type { ImageLayout, NetworkSpec } from "./graph/network-spec.ts";
import type { WeightLayout } from "./graph/weight-layout.ts";
import { createNetwork, type Network, type WeightTensor } from "./network.ts";
import { augment } from "./training/augmentation.ts";

const ctx = createRunContext();
const [height, width, channels] = [5, 4, 3];

/** An image network through every kind of border: strided, grouped and depthwise convolutions, flatten, a dense layer of as many rows as columns. */
function described(layout: ImageLayout): NetworkSpec {
  return {
    name: "test",
    layout,
    inputShape: layout === "nhwc" ? [height, width, channels] : [channels, height, width],
    classes: 3,
    layers: [
      { kind: "conv2d", name: "a", in: 3, out: 4, kernel: [3, 2], padding: 1 },
      { kind: "batch-norm", name: "n", channels: 4 },
      { kind: "relu", name: "r" },
      { kind: "conv2d", name: "d", in: 4, out: 8, kernel: [3, 3], groups: 4, stride: 2, padding: 1 },
      { kind: "silu" },
      { kind: "conv2d", name: "g", in: 8, out: 2, kernel: [1, 1], groups: 2 },
      { kind: "flatten" },
      { kind: "dense", name: "fc1", in: 18, out: 18, bias: true },
      { kind: "relu" },
      { kind: "dense", name: "fc2", in: 18, out: 3, bias: true },
    ],
  };
}

/** Entry (c, y, x) of an image for every place of (y, x, c). */
function channelsLastOrder(c: number, positions: number): number[] {
  return Array.from({ length: c * positions }, (_, k) => (k % c) * positions + Math.floor(k / c));
}

function images(layout: ImageLayout, examples = 6): Dataset {
  const rng = createRng("images");
  const features = channels * height * width;
  const planes = Float64Array.from({ length: examples * features }, () => rng.normal());
  const order = channelsLastOrder(channels, height * width);
  const data = layout === "nchw" ? planes : planes.map((_, k) => planes[k - (k % features) + order[k % features]!]!);
  const labels = Array.from({ length: examples }, (_, i) => i % 3);
  const { inputShape } = described(layout);
  return arrayDataset({ inputs: matrix(examples, features, data), labels, classes: 3, inputShape });
}

/** The same network for both layouts: the dense layer behind flatten takes its columns in another order. */
function weightsFor(layout: ImageLayout): readonly WeightTensor[] {
  const tensors = createNetwork(described("nchw"), { seed: 4, dtype: "f64" }).tensors();
  if (layout === "nchw") return tensors;
  const order = channelsLastOrder(2, 9);
  return tensors.map((tensor) => {
    if (tensor.name !== "fc1.weight") return tensor;
    return { ...tensor, data: tensor.data.map((_, k) => tensor.data[k - (k % 18) + order[k % 18]!]!) };
  });
}

function given(layout: ImageLayout): { network: Network; data: Dataset } {
  return {
    network: createNetwork(described(layout), { weights: weightsFor(layout), dtype: "f64" }),
    data: images(layout),
  };
}

describe("images given as NHWC", () => {
  const examples = Uint32Array.from({ length: 6 }, (_, i) => i);
  const [planes, pixels] = [given("nchw"), given("nhwc")];
  const params = planes.network.params().map(({ name }) => name);

  test("give the logits and the loss of the same images as NCHW", async () => {
    const [a, b] = await Promise.all(
      [planes, pixels].map(
        async ({ network, data }) => (await network.run(await data.batch(examples), ctx))["output"]!,
      ),
    );
    // The dense layer adds the same products in another order: f64 rounding of sums of 18 terms of order 1.
    a!.data.forEach((value, i) => {
      expect(b!.data[i]).toBeCloseTo(value, 12);
    });
    expect(Math.max(...a!.data.map(Math.abs))).toBeGreaterThan(0.1);
    const losses = await Promise.all([planes, pixels].map(({ network, data }) => network.evaluate(data, ctx)));
    expect(losses[1]!.loss).toBeCloseTo(losses[0]!.loss, 12);
  });

  test("give the same gradients, in the order of the weights", async () => {
    const gradients = await Promise.all(
      [planes, pixels].map(async ({ network, data }) => {
        const { gradient } = await network.meanGradient({ params, data, examples }, ctx);
        return gradient;
      }),
    );
    const start = planes.network.params().slice(0, params.indexOf("fc1.weight"));
    const from = start.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
    const order = channelsLastOrder(2, 9);
    gradients[1]!.forEach((value, k) => {
      const place = k - from;
      const isMoved = place >= 0 && place < 18 * 18;
      const same = isMoved ? from + place - (place % 18) + order[place % 18]! : k;
      expect(value, `entry ${k}`).toBeCloseTo(gradients[0]![same]!, 12); // f64 rounding, as above
    });
    expect(gradients[0]!.filter((value) => Math.abs(value) > 1e-3).length).toBeGreaterThan(100);
  });

  test("are cropped and mirrored to the same images by the same draws", () => {
    const order = channelsLastOrder(channels, height * width);
    const changes = { cropPadding: 2, flip: true, border: [-1, -2, -3] };
    const inputs = inputRows(planes.data.batch(examples) as Batch);
    const last = inputRows(pixels.data.batch(examples) as Batch);
    const expected = augment(inputs, { shape: [channels, height, width] }, changes, createRng(3)).data;
    const found = augment(last, { shape: [height, width, channels], layout: "nhwc" }, changes, createRng(3)).data;
    found.forEach((value, k) => {
      expect(value).toBe(expected[k - (k % order.length) + order[k % order.length]!]);
    });
    expect(found).not.toEqual(last.data);
  });

  test("are refused by a network that takes the other layout, in both directions", () => {
    expect(() => planes.network.evaluate(pixels.data, ctx)).toThrow(
      /has examples of shape \[5, 4, 3\], but network 'test' takes \[3, 5, 4\] \(nchw\)/,
    );
    expect(() => pixels.network.evaluate(planes.data, ctx)).toThrow(/takes \[5, 4, 3\] \(nhwc\)/);
  });

  test("a built-in network takes them when its description says so, and computes the same bits", async () => {
    const spec = architecture("resnet20");
    const last: NetworkSpec = { ...spec, inputShape: [32, 32, 3], layout: "nhwc" };
    const rng = createRng("photos");
    const photo = Float32Array.from({ length: 3072 }, () => rng.normal());
    const order = channelsLastOrder(3, 1024);
    const batch = (shape: readonly number[], data: Float32Array): Batch => ({
      size: 1,
      inputs: { input: { shape: [1, ...shape], data } },
    });
    const expected = await createNetwork(spec, { seed: 2 }).run(batch([3, 32, 32], photo), ctx);
    const same = batch(
      [32, 32, 3],
      photo.map((_, k) => photo[order[k]!]!),
    );
    // No dense layer behind a flatten: inside, both are the same numbers.
    expect(await createNetwork(last, { seed: 2 }).run(same, ctx)).toEqual(expected);
  });

  test("a layout of another name is refused", () => {
    const spec = { ...described("nchw"), layout: "chwn" as ImageLayout };
    expect(() => createNetwork(spec)).toThrow(/layout is 'chwn'; give nchw or nhwc/);
  });
});

describe("weights in another framework's order", () => {
  /** Where entry (o, i, y, x) of a filter is, from the definition of each layout. */
  const place: Record<Exclude<WeightLayout, "oihw">, (at: number[], of: number[]) => number> = {
    hwio: ([o, i, y, x], [O, I, , W]) => ((y! * W! + x!) * I! + i!) * O! + o!,
    ohwi: ([o, i, y, x], [, I, H, W]) => ((o! * H! + y!) * W! + x!) * I! + i!,
  };

  test.each(["hwio", "ohwi"] as const)("%s is taken and given back, entry by entry", async (weightLayout) => {
    const network = createNetwork(described("nchw"), { seed: 4 });
    const own = network.tensors();
    const stored = network.tensors(weightLayout);
    for (const [t, { name, shape, data }] of own.entries()) {
      const [O = 1, I = 1, H = 1, W = 1] = shape;
      const isKernel = shape.length === 4;
      if (shape.length === 1) expect(stored[t]).toEqual(own[t]);
      if (isKernel) expect(stored[t]!.shape).toEqual(weightLayout === "hwio" ? [H, W, I, O] : [O, H, W, I]);
      if (!isKernel && weightLayout === "ohwi") expect(stored[t]).toEqual(own[t]);
      // Dense weights of TensorFlow are [in, out]: a filter of one tap.
      const of = [O, I, H, W];
      for (let k = 0; k < data.length; k++) {
        const at = [Math.floor(k / (I * H * W)), Math.floor(k / (H * W)) % I, Math.floor(k / W) % H, k % W];
        expect(stored[t]!.data[place[weightLayout](at, of)], `${name} at ${at.join()}`).toBe(data[k]);
      }
    }
    const loaded = createNetwork(described("nchw"), { weights: stored, weightLayout });
    expect(loaded.tensors()).toEqual(own);
  });

  test("TensorFlow's [height, width, in, multiplier] of a depthwise convolution is taken as it is", () => {
    const network = createNetwork(described("nchw"), { seed: 4 });
    const weights = network
      .tensors("hwio")
      .map((tensor) => (tensor.name === "d.weight" ? { ...tensor, shape: [3, 3, 4, 2] } : tensor));
    expect(createNetwork(described("nchw"), { weights, weightLayout: "hwio" }).tensors()).toEqual(network.tensors());
  });

  test("shapes of another order are refused with those of the one asked for", () => {
    const weights = createNetwork(described("nchw")).tensors();
    const build = () => createNetwork(described("nchw"), { weights, weightLayout: "hwio" });
    expect(build).toThrow(/a\.weight is \[4, 3, 3, 2\] instead of \[3, 2, 3, 4\]/);
    const other = () => createNetwork(described("nchw"), { weightLayout: "iohw" as WeightLayout });
    expect(other).toThrow(/layout 'iohw'; give oihw, hwio, ohwi/);
  });
});
