import { expect, test } from "vitest";
import { architecture } from "../architectures/architectures.ts";
import { chooseDense } from "./keep-dense.ts";

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

test("another word is refused with the words there are", () => {
  expect(() => chooseDense(resnet, ["bn1"])).toThrow(/'bn1'.*first, last, conv1\.weight/);
});
