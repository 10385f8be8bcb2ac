import { expect, test } from "vitest";
import { architecture } from "../architectures/architectures.ts";
import { chooseDense } from "./keep-dense.ts";
import { paramSpecs } from "./param-specs.ts";

const resnet = architecture("resnet20");

test("first and last are the layers at the ends, also of a network that ends in log-softmax", () => {
  const { pruned, dense } = chooseDense(resnet, ["last", "first"]);
  expect(dense).toEqual(["conv1.weight", "fc.weight"]);
  expect(pruned).toHaveLength(20);
  expect([...pruned, ...dense].filter((name) => name.includes("bn"))).toEqual([]);
});

test("a layer is named with or without .weight; nothing named keeps nothing", () => {
  const [one, other] = ["layer1.0.conv1", "layer1.0.conv1.weight"].map((word) => chooseDense(resnet, [word]));
  expect(one).toEqual(other);
  expect(one!.dense).toEqual(["layer1.0.conv1.weight"]);
  expect(chooseDense(resnet, []).dense).toEqual([]);
});

test("auto is the first convolution, the last layer and every convolution of single channels", () => {
  const { dense } = chooseDense(architecture("mobilenetv1"), ["auto"]);
  const shapes = new Map(paramSpecs(architecture("mobilenetv1")).map(({ name, shape }) => [name, shape]));
  expect(dense.filter((name) => shapes.get(name)![1] !== 1)).toHaveLength(2);
  // Thirteen blocks of a depthwise and a pointwise convolution, between a convolution and a dense layer.
  expect(dense).toHaveLength(2 + 13);
  expect(chooseDense(architecture("mlpnet"), ["auto"]).dense).toEqual(["fc3.weight"]);
});

test("another word is refused with the words there are", () => {
  expect(() => chooseDense(resnet, ["bn1"])).toThrow(/'bn1'.*first, last, auto, conv1\.weight/);
});
