import { badDataSpec } from "../errors.ts";
import type { Normalisation } from "../normalisation.ts";
import type { DataSource } from "../source.ts";
import { type CifarLayout, openCifarFolder } from "./cifar-folder.ts";

/** The mean and standard deviation of CIFAR-10's training pixels by channel, as most publications round them. */
const CIFAR_NORMALISATION: Normalisation = {
  divisor: 255,
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
};

const LAYOUTS: readonly CifarLayout[] = [
  {
    name: "cifar10",
    train: ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    archiveFolder: "cifar-10-batches-bin",
    labelBytes: 1,
    classes: 10,
  },
  {
    name: "cifar100",
    train: ["train.bin"],
    test: "test.bin",
    archiveFolder: "cifar-100-binary",
    // The coarse label comes first, the fine one of 100 classes last.
    labelBytes: 2,
    classes: 100,
  },
];

/** CIFAR-10 and CIFAR-100 in their binary version, whole or in part. */
export const cifarSources: readonly DataSource[] = LAYOUTS.map((layout) => ({
  name: layout.name,
  usages: [`${layout.name}:DIR`],
  summary: `binary batches ${layout.train[0]}, ..., ${layout.test} from a folder, also incomplete ones`,
  async open({ spec, argument, options }) {
    if (argument === undefined || argument === "") {
      throw badDataSpec({ found: spec, expected: `${layout.name}:DIR with the folder of the binary batches` });
    }
    return openCifarFolder({ spec, folder: argument, layout, normalisation: CIFAR_NORMALISATION, options });
  },
}));
