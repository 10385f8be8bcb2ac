/**
 * @secateur/datasets: datasets by name, with their normalisation.
 * @packageDocumentation
 */
export type { ImageColor, ImageSteps } from "./images/prepare-image.ts";
export { type ImageSize, type Resample, resamples } from "./images/resample.ts";
export { type MeanAndStd, type Normalisation, parseNormalize } from "./normalisation.ts";
export { dataSources, openDataset } from "./open-dataset.ts";
export type { DataSource, DatasetSplits, NumberArray, OpenDatasetOptions, OpenRequest } from "./source.ts";
