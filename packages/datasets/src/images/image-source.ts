import { badDataSpec } from "../errors.ts";
import type { DataSource, DatasetSplits, OpenRequest } from "../source.ts";
import { openImageFolder } from "./image-folder.ts";

/** PNG and JPEG images in one folder a class. */
export const imageSource: DataSource = {
  name: "images",
  usages: ["images:DIR"],
  summary:
    "PNG and JPEG images in class folders, below train/ and test/ (or val/) or directly in DIR; without folders unlabelled",
  async open({ spec, argument, options }: OpenRequest): Promise<DatasetSplits> {
    if (argument === undefined || argument === "") {
      throw badDataSpec({ found: spec, expected: "images:DIR with a folder of class folders" });
    }
    return openImageFolder({ spec, folder: argument, options });
  },
};
