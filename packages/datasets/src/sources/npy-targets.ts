/** Targets from .npy files: class numbers, whole numbers by position, or numbers to be met. */
import { labelName } from "@secateur/core";
import { badLabel } from "../errors.ts";
import type { NumberArray, OpenRequest } from "../source.ts";
import { classLabels } from "./class-labels.ts";
import { finiteFloats } from "./finite-floats.ts";
import type { SplitTargets } from "./raw-dataset.ts";

/** An array and the file it is from. */
export type FileArray = NumberArray & { readonly path: string };

/** What kind of targets the files of all splits hold is decided once. */
export function targetsOf(
  given: readonly FileArray[],
  options: Pick<OpenRequest["options"], "targets" | "classes">,
): readonly SplitTargets[] | undefined {
  if (given.length === 0) return undefined;
  const isClass = given.every(({ shape }) => shape.slice(1).every((extent) => extent === 1));
  const isWhole = given.every(({ data }) => data.every(Number.isInteger));
  // Where nothing is known of classes, numbers below 0 are no class numbers.
  const isNegative =
    options.classes === undefined && isClass && given.some(({ data }) => data.some((value) => value < 0));
  // One number an example for several classes can be nothing else: a fraction among them is a mistake, and told with its place.
  const isOfClasses = isClass && (options.classes ?? 0) > 1;
  const areNumbers = isNegative || (!isWhole && !isOfClasses);
  if (options.targets === "values" || (options.targets === undefined && areNumbers)) {
    return given.map(({ shape, data, path }) => {
      const floats = finiteFloats(data instanceof Uint8Array ? new Float32Array(data) : data, {
        features: data.length / shape[0]!,
        source: path,
      });
      return { name: "values", shape: shape.slice(1), data: floats };
    });
  }
  if (!isClass) {
    const whole = given.map(({ data, path }) => wholeTargets(data, path));
    const largest = whole.reduce((most, data) => data.reduce((a, b) => Math.max(a, b), most), 0);
    // Labels that stand for "does not count" are below 0.
    const classes = Math.max(2, largest + 1);
    return given.map(({ shape }, i) => ({ name: labelName, shape: shape.slice(1), data: whole[i]!, classes }));
  }
  const labels = given.map(({ data, path }) => classLabels(data, { classes: options.classes, source: path }));
  const classes = options.classes ?? 1 + Math.max(...labels.map(({ highestLabel }) => highestLabel));
  return labels.map(({ labels: data }) => ({ name: labelName, shape: [], data, classes }));
}

/** Targets of several numbers an example, -100 and the like included. @throws ERR_LABEL_RANGE */
function wholeTargets(data: NumberArray["data"], path: string): Int32Array {
  const whole = Int32Array.from(data);
  const wrong = whole.findIndex((value, i) => value !== data[i]);
  if (wrong < 0) return whole;
  throw badLabel({ where: path, index: wrong, label: data[wrong]!, allowed: "the whole numbers of 32 bits" });
}
