/** Quantizers: values on their grid, zeros kept. */
import { createRng, type Grid, matrix, type Quantizer } from "@secateur/core";
import { ensure, ensureFinite, ensureSameBytes } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import { tinyContext } from "./tiny-context.ts";

/** A quantizer. */
export interface QuantizerSpec {
  readonly create: () => Quantizer | Promise<Quantizer>;
  /** For the names of the tests; default "the quantizer". */
  readonly name?: string;
}

/** Registers the checks as tests. */
export function describeQuantizer(suite: QuantizerSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the quantizer", quantizerChecks(suite));
}

/** A row of usual weights, one of equal ones, one of zeros, one with an outlier, one of a single sign. */
function weights(): Float32Array {
  const rng = createRng(3);
  const rows = [
    () => rng.normal(),
    () => 0.25,
    () => 0,
    (j: number) => (j === 4 ? 100 : 0.01 * rng.normal()),
    () => Math.abs(rng.normal()) + 0.5,
  ];
  return Float32Array.from(rows.flatMap((value) => Array.from({ length: 9 }, (_, j) => value(j))));
}

const [rows, cols] = [5, 9];
const mask = Uint8Array.from({ length: rows * cols }, (_, j) => (j % 3 === 0 ? 0 : 1));

/** The least and the greatest level of a grid. */
function levels({ bits, zeros }: Grid): readonly [number, number] {
  return zeros ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

/** The checks of {@link describeQuantizer}. */
export function quantizerChecks({ create }: QuantizerSpec): readonly Check[] {
  const quantized = async (masked: boolean) => {
    const given = weights();
    const spec = { w: matrix(rows, cols, given), ...(masked ? { mask } : {}) };
    const found = await (await create()).quantize(spec, tinyContext());
    ensureSameBytes(given, weights(), "the weights that came in");
    return found;
  };
  return [
    {
      name: "gives a grid of finite scales above 0, of 1 to 16 bits, with whole zeros among its levels",
      async run() {
        for (const masked of [false, true]) {
          const { grid } = await quantized(masked);
          const { bits, scales, zeros } = grid;
          ensure(Number.isInteger(bits) && bits >= 1 && bits <= 16, () => `found ${bits} bits`);
          ensure(scales.length === rows, () => `found ${scales.length} scales for ${rows} rows`);
          ensureFinite(scales, "scales");
          ensure(
            scales.every((scale) => scale > 0),
            () => `found the scales ${Array.from(scales).join(", ")}`,
          );
          const [least, most] = levels(grid);
          const isFine = (zeros ?? []).every((zero) => Number.isInteger(zero) && zero >= least && zero <= most);
          ensure(isFine, () => `found the zeros ${Array.from(zeros ?? []).join(", ")}`);
        }
      },
    },
    {
      name: "puts every value on its row's grid, and pruned ones at 0",
      async run() {
        for (const masked of [false, true]) {
          const { w, grid } = await quantized(masked);
          ensure(w.rows === rows && w.cols === cols, () => `found [${w.rows}, ${w.cols}], expected [${rows}, ${cols}]`);
          const [least, most] = levels(grid);
          w.data.forEach((value, j) => {
            const row = Math.floor(j / cols);
            const level = value / grid.scales[row]! + (grid.zeros?.[row] ?? 0);
            // Scale and value are rounded to f32 each: levels of up to 2^15 are off by less than a hundredth.
            const isOn =
              Math.abs(level - Math.round(level)) <= 0.01 && Math.round(level) >= least && Math.round(level) <= most;
            ensure(
              isOn,
              () => `row ${row}: ${value} is at level ${level}, expected a whole one from ${least} to ${most}`,
            );
            ensure(!masked || mask[j] === 1 || value === 0, () => `found ${value} at ${j}, where the mask is 0`);
          });
        }
      },
    },
    {
      name: "gives the same bytes from the same seed",
      async run() {
        const [first, again] = [await quantized(true), await quantized(true)];
        ensureSameBytes(again.w.data, first.w.data, "weights");
        ensureSameBytes(again.grid.scales, first.grid.scales, "scales");
      },
    },
  ];
}
