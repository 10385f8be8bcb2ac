import { type Kernels, matrix, type PanelChain, panelWidth, referenceKernels } from "@secateur/core";
import { describe } from "vitest";
import { testPlanted } from "../planted.test-support.ts";
import { kernelChecks } from "./kernel-checks.ts";
import { chainGramBeside } from "./planted-chain.test-support.ts";

const broken = (change: Partial<Kernels>) => kernelChecks({ create: () => ({ ...referenceKernels, ...change }) });
const R = referenceKernels;
const open = (chain: PanelChain): PanelChain => ({
  ...chain,
  layers: chain.layers.map(({ gate: _, ...layer }) => layer),
});

describe("the suite rejects kernels over panels and windows whose", () => {
  testPlanted([
    [
      "chainTimes lets everything through a gate",
      () => broken({ chainTimes: ({ chain, ...spec }) => R.chainTimes!({ ...spec, chain: open(chain) }) }),
      /^chainTimes/,
    ],
    [
      "chainTransposeTimes stops at the last layer",
      () =>
        broken({
          chainTransposeTimes: ({ chain, ...spec }) => {
            const layers = chain.layers.map((layer, l) =>
              l === 0
                ? layer
                : {
                    ...layer,
                    weights: matrix(
                      layer.weights!.rows,
                      layer.weights!.cols,
                      layer.weights!.data.map(() => 0),
                    ),
                  },
            );
            R.chainTransposeTimes!({ ...spec, chain: { ...chain, layers } });
          },
        }),
      /^chainTransposeTimes/,
    ],
    [
      "chainGram forgets all panels but the first 16",
      () =>
        broken({
          chainGram: ({ chain, probabilities, ...spec }) =>
            R.chainGram!({
              ...spec,
              chain,
              probabilities: probabilities.map((value, i) =>
                i < (16 * probabilities.length) / chain.count ? value : 0,
              ),
            }),
        }),
      /^chainGram/,
    ],
    [
      "chainGram overwrites what no entry stands for",
      () =>
        broken({
          chainGram: (spec) => {
            const out = spec.out.slice().fill(0) as typeof spec.out;
            R.chainGram!({ ...spec, out });
            spec.out.set(out);
          },
        }),
      /^chainGram/,
    ],
    [
      "chainGram takes tangents less their mean as they are",
      () => broken({ chainGram: chainGramBeside(() => 0) }),
      /^chainGram/,
    ],
    [
      "chainGram takes the first class for the likeliest",
      () => broken({ chainGram: chainGramBeside(([first]) => first!) }),
      /^chainGram/,
    ],
    [
      "chainSquares takes one class alone",
      () =>
        broken({
          chainSquares: ({ probabilities, chain, out }) => {
            const { rows } = chain.layers.at(-1)!.pattern;
            const one = probabilities.map((value, i) => (Math.floor(i / panelWidth) % rows === 0 ? value : 0));
            R.chainSquares!({ chain, out, probabilities: one });
          },
        }),
      /^chainSquares/,
    ],
    [
      "windowGram takes windows at the border for windows inside",
      () =>
        broken({
          windowGram: ({ shape, ...spec }) => {
            const { kernel, padding, stride, dilation } = shape;
            if (padding !== 1 || stride * dilation !== 1 || kernel[0] !== 3) return R.windowGram!({ shape, ...spec });
            R.windowGram!({ shape, ...spec });
            const { data, cols } = spec.out;
            // The block of the first tap with itself has the windows of the last row too much.
            if (cols > 0) data[0] = data[4 * (cols / 9) * (cols + 1)]!;
          },
        }),
      /^windowGram/,
    ],
    [
      "windowGram turns the block of two taps round",
      () =>
        broken({
          windowGram(spec) {
            R.windowGram!(spec);
            const { data, cols } = spec.out;
            const [from, to] = spec.shape.channelRange ?? [0, spec.shape.channels];
            const count = to - from;
            if (cols === count) return;
            const block = Float64Array.from({ length: count ** 2 }, (_, e) => {
              return data[Math.floor(e / count) * cols + count + (e % count)]!;
            });
            block.forEach((value, e) => {
              const [i, j] = [Math.floor(e / count), e % count];
              data[j * cols + count + i] = value;
              data[(count + i) * cols + j] = value;
            });
          },
        }),
      /^windowGram/,
    ],
    [
      "windowGram forgets the sums it began with",
      () => broken({ windowGram: ({ beta: _, ...spec }) => R.windowGram!(spec) }),
      /^windowGram/,
    ],
  ]);
});
