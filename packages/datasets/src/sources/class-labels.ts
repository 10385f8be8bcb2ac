import { badLabel } from "../errors.ts";

/** A label above this is far likelier to be a regression target or an identifier than a class. */
const MAX_CLASSES = 65_536;

/**
 * Checks that numbers are class labels: whole, from 0 to classes - 1.
 *
 * @param values - [n], of any number type
 * @param options.classes - number of classes; undefined: any below 65536
 * @param options.source - name of the file, for messages
 * @returns the labels and the highest of them
 * @throws ERR_LABEL_RANGE naming the first that is none
 */
export function classLabels(
  values: Uint8Array | Float32Array | Float64Array,
  options: { classes: number | undefined; source: string },
): { labels: Uint32Array; highestLabel: number } {
  const limit = options.classes ?? MAX_CLASSES;
  const labels = new Uint32Array(values.length);
  let highestLabel = 0;
  for (let i = 0; i < values.length; i++) {
    const label = values[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= limit) {
      const allowed = `the whole numbers 0..${limit - 1}`;
      throw badLabel({ where: options.source, index: i, label, allowed });
    }
    labels[i] = label;
    highestLabel = Math.max(highestLabel, label);
  }
  return { labels, highestLabel };
}
