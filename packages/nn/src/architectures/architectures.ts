import { unknownName } from "@secateur/core";
import { mlp } from "../graph/mlp.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { lenet5, mobilenetv1, vgg11 } from "./convolutional.ts";
import { resnet } from "./resnet.ts";

interface BuiltIn {
  readonly summary: string;
  make(): NetworkSpec;
}

const architectures: Readonly<Record<string, BuiltIn>> = {
  mlpnet: {
    summary: "the MNIST network of the CHITA, WoodFisher and CBS papers: 784-40-20-10, ReLU, no bias; 32,360 weights",
    make: () => mlp({ name: "mlpnet", sizes: [784, 40, 20, 10], bias: false, inputShape: [28, 28] }),
  },
  lenet300: {
    summary: "LeNet-300-100 (LeCun et al. 1998): 784-300-100-10 with bias; 266,610 parameters",
    make: () => mlp({ name: "lenet300", sizes: [784, 300, 100, 10], inputShape: [28, 28] }),
  },
  lenet5: {
    summary: "LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, for 28 x 28 images; 61,706 parameters",
    make: lenet5,
  },
  mobilenetv1: {
    summary: "MobileNetV1 (Howard et al. 2017) for 3 x 224 x 224 images and 1000 classes; 4,231,976 parameters",
    make: mobilenetv1,
  },
  vgg11: {
    summary: "the eleven-layer VGG (Simonyan and Zisserman 2015) with batch normalisation, for CIFAR",
    make: vgg11,
  },
  ...Object.fromEntries(
    [20, 32, 44, 56].flatMap((depth): [string, BuiltIn][] => [
      [
        `resnet${depth}`,
        {
          summary: `ResNet-${depth} for CIFAR (He et al. 2016), with 1x1 convolutions as shortcuts (option B)`,
          make: () => resnet({ name: `resnet${depth}`, depth, shortcut: "projection" }),
        },
      ],
      [
        `resnet${depth}a`,
        {
          summary: `ResNet-${depth} for CIFAR (He et al. 2016), with shortcuts without parameters (option A)`,
          make: () => resnet({ name: `resnet${depth}a`, depth, shortcut: "padding" }),
        },
      ],
    ]),
  ),
};

/** Names of the built-in networks. */
export const architectureNames: readonly string[] = Object.keys(architectures);

/** What a built-in network is, in a line. @throws ERR_UNKNOWN_NAME */
export function architectureSummary(name: string): string {
  return builtIn(name).summary;
}

/** A built-in network by name. @throws ERR_UNKNOWN_NAME listing the known ones */
export function architecture(name: string): NetworkSpec {
  return builtIn(name).make();
}

function builtIn(name: string): BuiltIn {
  const found = Object.hasOwn(architectures, name) ? architectures[name] : undefined;
  if (!found) {
    throw unknownName({ where: "architecture", what: "built-in network", found: name, known: architectureNames });
  }
  return found;
}
