/** Folders of images as datasets. Sizes are read at once, pixels when a batch first asks for them. */
import { type Dataset, inputName } from "@secateur/core";
import { badClassFolders, badImage, shapesDiffer } from "../errors.ts";
import { MAX_PIXELS, MAX_SPLIT_BYTES } from "../limits.ts";
import { readFile } from "../node-files.ts";
import { type Normalisation, resolveNormalisation } from "../normalisation.ts";
import type { DatasetSplits, OpenDatasetOptions } from "../source.ts";
import { classTargets, rawDataset, targetSpec } from "../sources/raw-dataset.ts";
import { loadJpegDecoder } from "./decode-jpeg.ts";
import { type ImageDecoder, loadPngDecoder } from "./decode-png.ts";
import { type ExampleLayout, exampleLayout } from "./example-layout.ts";
import { findImages, type ImageFile, type ImageFiles, listOf } from "./image-files.ts";
import { type ImageHeader, imageHeader } from "./image-header.ts";
import { type ImageSteps, preparedPixels, preparedSize, resizedSize } from "./prepare-image.ts";
import type { ImageSize } from "./resample.ts";

/** Pixels are divided by 255 and nothing else, unless the caller normalises them. */
const PIXELS: Normalisation = { divisor: 255, mean: [0], std: [1] };

/**
 * Opens a folder of class folders, or of images without labels: see `findImages` for the splits. All images have one size, or are given one
 * by `options.images`; where all are grey an example is [1, height, width], else [3, height, width] and grey images have three equal channels,
 * unless options say otherwise. Opening reads every file once for its size; an image is decoded when it is first asked for, and kept as one byte
 * a value, resized and cut.
 *
 * @throws ERR_CLASS_FOLDERS, ERR_IMAGE, ERR_SHAPE for mixed sizes with the list of them, ERR_NORMALIZE,
 * ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE, ERR_FILE_NOT_READABLE; a batch throws ERR_IMAGE for a damaged image
 */
export async function openImageFolder(request: {
  spec: string;
  folder: string;
  options: OpenDatasetOptions;
}): Promise<DatasetSplits> {
  const { spec, folder, options } = request;
  const { images: steps = {} } = options;
  const files = numbered(findImages(folder), options.labels, folder);
  checkClasses({ folder, files, expected: options.classes });
  const headers = new Map([...files.train, ...files.test].map(({ path }) => [path, imageHeader(readFile(path), path)]));
  const isColoured = [...headers.values()].some((header) => header.channels === 3);
  const layout = exampleLayout({ steps, wanted: options.inputShape, isColoured, folder });
  const size = commonSize(headers, { folder, steps });
  const planes = [layout.channels, size.height, size.width];
  const normalisation = resolveNormalisation({
    declared: PIXELS,
    normalize: options.normalize,
    inputShape: planes,
  });
  const classes = files.classes.length;
  const decoders = decoderLoader();
  const dataset = (images: readonly ImageFile[], name: string): Dataset =>
    imageDataset({
      name: name ? `${spec} ${name}` : spec,
      ...{ images, size, layout, steps, classes, normalisation, decoders, folder },
    });
  const deep = [...headers].filter(([, { depth }]) => depth > 8).map(([path]) => path);
  const cut = `${folder}: of ${deep.length} image(s) of 16 bits a value the upper 8 are used: ${listOf(deep)}`;
  const warnings = [...files.warnings, ...(deep.length > 0 ? [cut] : [])];
  const only = classes === 0 ? dataset(files.train, "") : undefined;
  return {
    name: spec,
    train: only ?? dataset(files.train, "train"),
    test: only ?? dataset(files.test, "test"),
    normalisation,
    ...(classes > 0 ? { labels: files.classes } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
}

/** With class numbers by the names of labels, where every folder has the name of one; else a warning says which has not. */
function numbered(files: ImageFiles, labels: readonly string[] | undefined, folder: string): ImageFiles {
  if (!labels || files.classes.length === 0) return files;
  const strange = files.classes.filter((name) => !labels.includes(name));
  if (strange.length > 0) {
    const message = `${folder}: ${listOf(strange)} ${strange.length === 1 ? "is no class" : "are no classes"} of the network (${listOf(labels)}), so classes are numbered in the order of folders`;
    return { ...files, warnings: [...files.warnings, message] };
  }
  const numbers = files.classes.map((name) => labels.indexOf(name));
  const renumbered = (images: readonly ImageFile[]): readonly ImageFile[] =>
    images.map((image) => ({ ...image, label: numbers[image.label]! }));
  return { ...files, classes: labels, train: renumbered(files.train), test: renumbered(files.test) };
}

/** Labels come from the order of the folders, so one folder too few would shift them all. */
function checkClasses(spec: { folder: string; files: ImageFiles; expected: number | undefined }): void {
  const { folder, files, expected } = spec;
  const { classes } = files;
  if (expected === undefined || expected === classes.length || classes.length === 0) return;
  const found = `${classes.length} class folders (${listOf(classes)})`;
  throw badClassFolders({ folder, found, expected: `${expected}, one for each class of the network` });
}

/** The size of all examples. @throws ERR_SHAPE listing each size with its number of images and a path */
function commonSize(
  headers: ReadonlyMap<string, ImageHeader>,
  { folder, steps }: { readonly folder: string; readonly steps: ImageSteps },
): ImageSize {
  const sizes = new Map<string, { count: number; path: string; size: ImageSize }>();
  for (const [path, header] of headers) {
    // A sliver resized by its shorter edge may become as long as one likes.
    for (const { height, width } of [resizedSize(header, steps), preparedSize(header, steps)]) {
      if (height < 1 || width < 1 || height * width > MAX_PIXELS) {
        const found = `${width} x ${height} pixels after resizing ${header.width} x ${header.height}`;
        throw badImage({ path, found, expected: `from 1 to ${MAX_PIXELS}` });
      }
    }
    const size = preparedSize(header, steps);
    const key = `${size.width} x ${size.height}`;
    const known = sizes.get(key) ?? { count: 0, path, size };
    sizes.set(key, { ...known, count: known.count + 1 });
  }
  const [first, ...others] = [...sizes].sort(([, a], [, b]) => b.count - a.count);
  if (first === undefined || others.length > 0) {
    const list = [...sizes].map(([size, { count, path }]) => `${size} (${count}, such as ${path})`);
    throw shapesDiffer({
      where: folder,
      found: `images of ${list.length} sizes: ${listOf(list)}`,
      expected: "images of one size, or steps that make them so (preprocess: resize=256,crop=224 and the like)",
    });
  }
  return first[1].size;
}

/** Decoders by format, each loaded once when it is first needed. */
function decoderLoader(): (format: ImageHeader["format"]) => Promise<ImageDecoder> {
  const loaded = new Map<ImageHeader["format"], Promise<ImageDecoder>>();
  return async (format) => {
    const decoder = loaded.get(format) ?? (format === "png" ? loadPngDecoder() : loadJpegDecoder());
    loaded.set(format, decoder);
    const decode = await decoder;
    return (bytes, header, path) => {
      try {
        return decode(bytes, header, path);
      } catch (error) {
        // A WebAssembly decoder that has failed may have lost memory, and fail for every image after many failures.
        loaded.delete(format);
        throw error;
      }
    };
  };
}

function imageDataset(spec: {
  name: string;
  images: readonly ImageFile[];
  size: ImageSize;
  layout: ExampleLayout;
  steps: ImageSteps;
  classes: number;
  normalisation: Normalisation;
  decoders: (format: ImageHeader["format"]) => Promise<ImageDecoder>;
  folder: string;
}): Dataset {
  const { name, images, size, layout, classes, normalisation } = spec;
  const { height, width } = size;
  const { isChannelsLast } = layout;
  const inputShape = isChannelsLast ? [height, width, layout.channels] : [layout.channels, height, width];
  const features = layout.channels * height * width;
  if (images.length * features > MAX_SPLIT_BYTES) {
    const found = `${images.length} images of ${inputShape.join(" x ")} values`;
    throw shapesDiffer({
      where: spec.folder,
      found,
      expected: `at most ${MAX_SPLIT_BYTES} bytes a split; scale them down`,
    });
  }
  const labels = Uint32Array.from(images, ({ label }) => label);
  const targets = classes === 0 ? undefined : classTargets(labels, classes);
  const isDecoded = new Uint8Array(images.length);
  let values: Uint8Array | undefined;
  let raw: Dataset | undefined;
  return {
    name,
    size: images.length,
    inputs: [{ name: inputName, shape: inputShape, dtype: "f32" }],
    ...(targets ? { targets: [targetSpec(targets)] } : {}),
    async batch(indices, room) {
      values ??= new Uint8Array(images.length * features);
      raw ??= rawDataset({
        ...{ name, values, inputShape, isChannelsLast, normalisation },
        size: images.length,
        targets,
      });
      for (const index of indices) {
        const image = images[index];
        if (image === undefined || isDecoded[index] === 1) continue;
        await decodeInto(values.subarray(index * features, (index + 1) * features), { ...spec, image });
        isDecoded[index] = 1;
      }
      return raw.batch(indices, room);
    },
  };
}

/** Reads, decodes and prepares one image, to [channels, height, width]. */
async function decodeInto(
  out: Uint8Array,
  spec: {
    image: ImageFile;
    size: ImageSize;
    layout: ExampleLayout;
    steps: ImageSteps;
    decoders: (format: ImageHeader["format"]) => Promise<ImageDecoder>;
  },
): Promise<void> {
  const { size, layout, steps } = spec;
  const { path } = spec.image;
  const bytes = readFile(path);
  const header = imageHeader(bytes, path);
  const made = preparedSize(header, steps);
  const area = size.width * size.height;
  const isTooDeep = header.channels > layout.channels && steps.color !== "grey";
  if (made.width !== size.width || made.height !== size.height || isTooDeep) {
    throw badImage({
      path,
      found: "another size than when the folder was opened",
      expected: "files that stay as they are",
    });
  }
  const decode = await spec.decoders(header.format);
  const { height, width, channels } = header;
  const image = preparedPixels({ height, width, channels, data: decode(bytes, header, path) }, steps);
  for (let channel = 0; channel < layout.channels; channel++) {
    const from = image.channels === 1 ? 0 : layout.order[channel]!;
    const plane = out.subarray(channel * area, (channel + 1) * area);
    for (let i = 0; i < area; i++) plane[i] = image.data[i * image.channels + from]!;
  }
}
