import { type Dataset, formatShape, inputName, type PruneError, sizeOfShape, soleInput } from "@secateur/core";
import { dataMismatch, noExamples } from "./errors.ts";
import { featureCount, type NetworkSpec } from "./graph/network-spec.ts";

/** @throws ERR_DATA_MISMATCH when the examples or classes of the data are not the network's */
export function assertData(spec: NetworkSpec, data: Dataset): void {
  const mismatch = (found: string, expected: string): PruneError =>
    dataMismatch({ network: spec.name, data: data.name, found, expected });
  const input = soleInput(data);
  if (!input) throw mismatch(`${data.inputs.length} inputs`, `one, or one called '${inputName}'`);
  const found = `examples of shape ${formatShape(input.shape)}`;
  if (sizeOfShape(input.shape) !== featureCount(spec)) throw mismatch(found, formatShape(spec.inputShape));
  const [shape, expected] = [input.shape, spec.inputShape].map((extents) => extents.filter((n) => n === null || n > 1));
  // A row of features says nothing of an image, and extents of 1 change nothing.
  if (shape!.length > 1 && shape!.length === expected!.length && shape!.join() !== expected!.join()) {
    throw mismatch(found, `${formatShape(spec.inputShape)} (${spec.layout ?? "nchw"})`);
  }
  if (data.size === 0) throw noExamples(spec.name, data.name);
  const { classes = 0, shape: targetShape = [] } = data.targets?.[0] ?? {};
  // One score stands for two classes, or for a number; several targets an example are no choice among the scores.
  const isChoice = spec.classes > 1 && sizeOfShape(targetShape) === 1;
  if (isChoice && classes > spec.classes) {
    throw mismatch(`${classes} classes`, `labels of ${spec.classes} classes`);
  }
}
