/**
 * Residual networks for CIFAR (He et al. 2016, section 4.2): a 3x3 convolution, three stages of n blocks with 16, 32 and 64
 * channels, the mean over positions, a dense layer; 6n + 2 layers. A block is relu(x + bn(conv(relu(bn(conv(x)))))). Where a
 * stage halves the image the shortcut is a 1x1 convolution (option B) or every other position with zero channels (option A).
 */
import type { LayerSpec } from "../graph/layer-spec.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";

/** How a shortcut changes shape: "projection" is option B, "padding" option A. */
export type ShortcutKind = "projection" | "padding";

/**
 * A CIFAR ResNet; tensors are named as torchvision names them (conv1, bn1, layer1.0.conv1, layer2.0.downsample.0, fc).
 *
 * @param spec.depth - 6n + 2: 20, 32, 44, 56, ...
 */
export function resnet(spec: { name: string; depth: number; shortcut: ShortcutKind; classes?: number }): NetworkSpec {
  const { name, depth, shortcut, classes = 10 } = spec;
  const blocks = (depth - 2) / 6;
  const layers: LayerSpec[] = [
    ...normalised({ name: "conv1", norm: "bn1", in: 3, out: 16, size: 3, stride: 1 }),
    { kind: "relu", name: "relu1" },
  ];
  let from = "relu1";
  [16, 32, 64].forEach((channels, s) => {
    for (let b = 0; b < blocks; b++) {
      const block = `layer${s + 1}.${b}`;
      const isHalving = s > 0 && b === 0;
      const stride = isHalving ? 2 : 1;
      const taken = isHalving ? channels / 2 : channels;
      const sizes = { out: channels, size: 3 };
      layers.push(
        ...normalised({ name: `${block}.conv1`, norm: `${block}.bn1`, in: taken, ...sizes, stride, inputs: [from] }),
        { kind: "relu" },
        ...normalised({ name: `${block}.conv2`, norm: `${block}.bn2`, in: channels, ...sizes, stride: 1 }),
      );
      if (isHalving) layers.push(...shortcutLayers({ block, from, taken, channels, shortcut }));
      const other = isHalving ? (shortcut === "padding" ? `${block}.downsample` : `${block}.downsample.1`) : from;
      layers.push({ kind: "add", inputs: [`${block}.bn2`, other] }, { kind: "relu", name: `${block}.relu` });
      from = `${block}.relu`;
    }
  });
  layers.push(
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 64, out: classes, bias: true },
    { kind: "log-softmax" },
  );
  return { name, inputShape: [3, 32, 32], classes, layers };
}

function shortcutLayers(spec: {
  block: string;
  from: string;
  taken: number;
  channels: number;
  shortcut: ShortcutKind;
}): LayerSpec[] {
  const { block, from, taken, channels, shortcut } = spec;
  const name = `${block}.downsample`;
  if (shortcut === "padding") return [{ kind: "subsample-and-pad", name, stride: 2, channels, inputs: [from] }];
  return [
    {
      kind: "conv2d",
      name: `${name}.0`,
      in: taken,
      out: channels,
      kernel: [1, 1],
      stride: 2,
      bias: false,
      inputs: [from],
    },
    { kind: "batch-norm", name: `${name}.1`, channels },
  ];
}

/** A convolution that keeps the image's size (but for its stride), without bias, and its batch normalisation. */
export function normalised(spec: {
  name: string;
  norm: string;
  in: number;
  out: number;
  size: number;
  stride: number;
  groups?: number;
  inputs?: readonly string[];
}): LayerSpec[] {
  const { name, norm, in: taken, out, size, stride, groups = 1, inputs } = spec;
  return [
    {
      kind: "conv2d",
      name,
      in: taken,
      out,
      kernel: [size, size],
      stride,
      padding: (size - 1) / 2,
      groups,
      bias: false,
      ...(inputs ? { inputs } : {}),
    },
    { kind: "batch-norm", name: norm, channels: out },
  ];
}
