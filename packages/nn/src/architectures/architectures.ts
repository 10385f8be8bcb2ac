import { unknownName } from "@secateur/core";
import { mlp, type NetworkSpec } from "../graph/network-spec.ts";
import { lenet5, mobilenetv1, vgg11 } from "./convolutional.ts";
import { resnet } from "./resnet.ts";

const architectures: Readonly<Record<string, () => NetworkSpec>> = {
  /** The MNIST network that the CHITA, WoodFisher and CBS papers prune: 784-40-20-10, ReLU, no bias; 32,360 weights. */
  mlpnet: () => mlp({ name: "mlpnet", sizes: [784, 40, 20, 10], bias: false, inputShape: [28, 28] }),
  /** LeNet-300-100 (LeCun et al. 1998): 784-300-100-10 with bias; 266,610 parameters. */
  lenet300: () => mlp({ name: "lenet300", sizes: [784, 300, 100, 10], inputShape: [28, 28] }),
  lenet5,
  mobilenetv1,
  vgg11,
  ...Object.fromEntries(
    [20, 32, 44, 56].flatMap((depth) => [
      /** With 1x1 convolutions as shortcuts (option B). */
      [`resnet${depth}`, () => resnet({ name: `resnet${depth}`, depth, shortcut: "projection" })],
      /** With shortcuts without parameters (option A). */
      [`resnet${depth}a`, () => resnet({ name: `resnet${depth}a`, depth, shortcut: "padding" })],
    ]),
  ),
};

/** Names of the built-in networks. */
export const architectureNames: readonly string[] = Object.keys(architectures);

/** A built-in network by name. @throws ERR_UNKNOWN_NAME listing the known ones */
export function architecture(name: string): NetworkSpec {
  const make = Object.hasOwn(architectures, name) ? architectures[name] : undefined;
  if (!make)
    throw unknownName({ where: "architecture", what: "built-in network", found: name, known: architectureNames });
  return make();
}
