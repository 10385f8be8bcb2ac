/** LeNet-5 (LeCun et al. 1998, with ReLU and max pooling), MobileNetV1 (Howard et al. 2017) and a VGG (Simonyan and Zisserman 2015) for CIFAR. */
import type { LayerSpec } from "../graph/layer-spec.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { normalised } from "./resnet.ts";

/** Two convolutions with pooling, three dense layers: 61,706 parameters on 28 x 28 images. */
export function lenet5(): NetworkSpec {
  return {
    name: "lenet5",
    inputShape: [28, 28],
    classes: 10,
    layers: [
      { kind: "conv2d", name: "conv1", in: 1, out: 6, kernel: [5, 5], padding: 2 },
      { kind: "relu" },
      { kind: "max-pool", size: 2 },
      { kind: "conv2d", name: "conv2", in: 6, out: 16, kernel: [5, 5] },
      { kind: "relu" },
      { kind: "max-pool", size: 2 },
      { kind: "flatten" },
      { kind: "dense", name: "fc1", in: 400, out: 120, bias: true },
      { kind: "relu" },
      { kind: "dense", name: "fc2", in: 120, out: 84, bias: true },
      { kind: "relu" },
      { kind: "dense", name: "fc3", in: 84, out: 10, bias: true },
      { kind: "log-softmax" },
    ],
  };
}

/** Depthwise and 1x1 convolutions in turn, for 3 x 224 x 224 images and 1000 classes: 4,231,976 parameters. */
export function mobilenetv1(): NetworkSpec {
  const plan = [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    ...Array.from({ length: 5 }, () => [512, 1] as const),
    [1024, 2],
    [1024, 1],
  ] as const;
  const layers: LayerSpec[] = [
    ...normalised({ name: "conv1", norm: "bn1", in: 3, out: 32, size: 3, stride: 2 }),
    { kind: "relu" },
  ];
  let channels = 32;
  plan.forEach(([out, stride], b) => {
    const [depthwise, pointwise] = [`blocks.${b}.depthwise`, `blocks.${b}.pointwise`];
    const size = { in: channels, out: channels, size: 3, stride, groups: channels };
    layers.push(
      ...normalised({ name: `${depthwise}.conv`, norm: `${depthwise}.bn`, ...size }),
      { kind: "relu" },
      ...normalised({ name: `${pointwise}.conv`, norm: `${pointwise}.bn`, in: channels, out, size: 1, stride: 1 }),
      { kind: "relu" },
    );
    channels = out;
  });
  layers.push(
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: channels, out: 1000, bias: true },
    { kind: "log-softmax" },
  );
  return { name: "mobilenetv1", inputShape: [3, 224, 224], classes: 1000, layers };
}

/** The eleven-layer VGG with batch normalisation and one dense layer, for CIFAR; named as torchvision names its features. */
export function vgg11(): NetworkSpec {
  const layers: LayerSpec[] = [];
  let channels = 3;
  let place = 0;
  for (const step of [64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool"] as const) {
    if (step === "pool") {
      layers.push({ kind: "max-pool", size: 2 });
      place++;
      continue;
    }
    const names = { name: `features.${place}`, norm: `features.${place + 1}` };
    layers.push(...normalised({ ...names, in: channels, out: step, size: 3, stride: 1 }), { kind: "relu" });
    channels = step;
    place += 3;
  }
  layers.push(
    { kind: "flatten" },
    { kind: "dense", name: "classifier", in: 512, out: 10, bias: true },
    { kind: "log-softmax" },
  );
  return { name: "vgg11", inputShape: [3, 32, 32], classes: 10, layers };
}
