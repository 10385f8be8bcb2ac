/** src/METHOD.js of a task: a regression that works, to be replaced. */
export const task = `import { PruneError } from "@secateur/core";

/** @typedef {import("@secateur/core").FloatTensors} FloatTensors */

/**
 * Regression that far errors pull less: l = scale^2 log cosh(r / scale), r = z - y. Replace it by yours, and say here what it means
 * and where it comes from (authors, year, equation).
 *
 * @param {{ scale?: number }} [options] scale: errors above it count by their size, not by its square, > 0; default 1
 * @returns {import("@secateur/core").Task}
 */
export function METHOD({ scale = 1 } = {}) {
  return {
    name: "NAME",
    // A run is continued only under the same.
    options: { scale },
    targetsFrom: "data",
    // Whole numbers in a file of targets are values here, not class numbers.
    targetKind: "values",
    loss({ outputs, targets, delta }) {
      const { name, z, y } = read(outputs, targets);
      let sum = 0;
      for (let i = 0; i < z.length; i++) {
        const r = Math.abs(z[i] - y[i]) / scale;
        // log cosh r, in a form that does not overflow
        sum += scale ** 2 * (r + Math.log1p(Math.exp(-2 * r)) - Math.LN2);
        // The slope of the summed loss, where it is asked for.
        if (delta) delta[name].data[i] = scale * Math.tanh((z[i] - y[i]) / scale);
      }
      return { sum, count: z.length };
    },
    // R with R R' the Hessian of the summed loss in the outputs; here both are diagonal.
    outputFactor({ outputs, targets }) {
      const { name, z, y, examples } = read(outputs, targets);
      const root = Float64Array.from(z, (value, i) => 1 / Math.cosh((value - y[i]) / scale));
      /** @param {ArrayLike<number>} u @param {FloatTensors} out */
      const times = (u, out) => {
        for (let i = 0; i < root.length; i++) out[name].data[i] = root[i] * u[i];
      };
      return {
        columns: z.length / examples,
        times,
        transposeTimes(t, out) {
          for (let i = 0; i < root.length; i++) out[i] = root[i] * t[name].data[i];
        },
        draw: (rng, out) => times(Float64Array.from(root, () => rng.normal()), out),
      };
    },
    measures: [
      {
        name: "mean absolute error",
        unit: "",
        better: "lower",
        add(outputs, targets) {
          const { z, y } = read(outputs, targets);
          return { sum: y.reduce((sum, value, i) => sum + Math.abs(z[i] - value), 0), count: z.length };
        },
      },
    ],
  };
}

/**
 * The only output, and as many targets.
 *
 * @param {FloatTensors} outputs @param {import("@secateur/core").Tensors | undefined} targets
 */
function read(outputs, targets) {
  const [name, { shape, data: z }] = Object.entries(outputs)[0];
  const y = Float64Array.from(Object.values(targets ?? {})[0]?.data ?? [], Number);
  if (y.length !== z.length) {
    throw new PruneError("ERR_TASK", \`task NAME: found \${y.length} targets for \${z.length} outputs; give one each\`);
  }
  return { name, z, y, examples: shape[0] };
}
`;
