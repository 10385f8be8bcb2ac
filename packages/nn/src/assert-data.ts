import { type Dataset, labelOutOfRange } from "@secateur/core";
import { dataMismatch, noExamples } from "./errors.ts";
import { featureCount, type NetworkSpec } from "./graph/network-spec.ts";

/** @throws ERR_DATA_MISMATCH when the examples or classes of the data are not the network's */
export function assertData(spec: NetworkSpec, data: Dataset): void {
  const features = data.inputShape.reduce((product, extent) => product * extent, 1);
  if (features !== featureCount(spec)) {
    throw dataMismatch({
      network: spec.name,
      data: data.name,
      found: `examples of shape [${data.inputShape.join(", ")}]`,
      expected: `[${spec.inputShape.join(", ")}]`,
    });
  }
  const [shape, expected] = [data.inputShape, spec.inputShape].map((extents) => extents.filter((n) => n > 1));
  // A row of features says nothing of an image, and extents of 1 change nothing.
  if (shape!.length > 1 && shape!.length === expected!.length && shape!.join() !== expected!.join()) {
    const layout = spec.layout ?? "nchw";
    throw dataMismatch({
      network: spec.name,
      data: data.name,
      found: `examples of shape [${data.inputShape.join(", ")}]`,
      expected: `[${spec.inputShape.join(", ")}] (${layout})`,
    });
  }
  if (data.size === 0) throw noExamples(spec.name, data.name);
  if (data.classes > spec.classes) {
    throw dataMismatch({
      network: spec.name,
      data: data.name,
      found: `${data.classes} classes`,
      expected: `labels of ${spec.classes} classes`,
    });
  }
}

/** @throws ERR_LABEL_RANGE */
export function assertLabels(spec: NetworkSpec, data: Dataset, labels: Uint32Array): void {
  const bad = labels.findIndex((label) => label >= spec.classes);
  if (bad >= 0) throw labelOutOfRange({ where: data.name, index: bad, label: labels[bad]!, classes: spec.classes });
}
