import { expect, test } from "vitest";
import { momentExamples } from "./moment-examples.ts";

test("the inputs of a dense layer are taken of all examples, unless 32 to an input are fewer", () => {
  expect(momentExamples({ examples: 2000, inputs: 784, positions: 1 })).toBe(2000);
  expect(momentExamples({ examples: 2000, inputs: 20, positions: 1 })).toBe(640);
});

test("a convolution has many windows an example, and is never left with fewer than 128 examples of those there are", () => {
  expect(momentExamples({ examples: 2000, inputs: 576, positions: 64 })).toBe(288);
  expect(momentExamples({ examples: 2000, inputs: 27, positions: 1024 })).toBe(128);
  expect(momentExamples({ examples: 100, inputs: 27, positions: 1024 })).toBe(100);
});
