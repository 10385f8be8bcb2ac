import fs from "node:fs";
import { dirname } from "node:path";
import { labelsOf } from "@secateur/core";
import { expect, test } from "vitest";
import { GOLDEN_IMAGES } from "./images/image-goldens.test-support.ts";
import { preparedPixels } from "./images/prepare-image.ts";
import { openDataset } from "./open-dataset.ts";
import type { OpenDatasetOptions } from "./source.ts";
import { useFolder } from "./testing.test-support.ts";

const folder = useFolder();
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
/** Of 9 x 13. */
const golden = { height: 9, width: 13, channels: 3, data: bytesOf(GOLDEN_IMAGES.colourPng.rgb) };
/** The only pixel of a grey PNG of 1 x 1 is black. */
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

function fill(files: Readonly<Record<string, string>>): string {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(dirname(folder.path(name)), { recursive: true });
    fs.writeFileSync(folder.path(name), bytesOf(content));
  }
  return `images:${folder.path()}`;
}
const colour = (): string => fill({ "1.png": GOLDEN_IMAGES.colourPng.file });
const first = async (spec: string, options: OpenDatasetOptions) => {
  const { train } = await openDataset(spec, options);
  const { input } = (await train.batch(Uint32Array.of(0))).inputs;
  return { shape: input!.shape, data: [...input!.data] as number[], spec: train.inputs[0]!.shape };
};
/** Pixels as they are. */
const normalize = { mean: [0], std: [1], divisor: 1 };

test("images of several sizes become one by a resize and a crop, and are refused otherwise with what to give", async () => {
  const spec = fill({ "1.png": GOLDEN_IMAGES.colourPng.file, "2.png": onePixel });
  const images = { resize: { height: 6, width: 8 }, crop: { height: 4, width: 5 } };
  const { train } = await openDataset(spec, { images, normalize });
  expect(train.inputs[0]?.shape).toEqual([3, 4, 5]);
  const { input } = (await train.batch(Uint32Array.of(1, 0))).inputs;
  const made = preparedPixels(golden, images);
  const planes = [0, 1, 2].flatMap((c) => Array.from({ length: 20 }, (_, i) => made.data[3 * i + c]!));
  // The black pixel, then the other image plane by plane.
  expect([...input!.data]).toEqual([...new Array(60).fill(0), ...planes]);
  await expect(openDataset(spec)).rejects.toThrow(/2 sizes.*resize=256,crop=224/);
  // The shorter edge alone leaves sizes as they differ.
  await expect(openDataset(spec, { images: { resize: { shortestEdge: 4 } } })).rejects.toThrow(/2 sizes/);
});

test("a sliver that would become millions of pixels long is refused before it is read", async () => {
  const images = { resize: { shortestEdge: 4096 } };
  const header = bytesOf(GOLDEN_IMAGES.greyPng.file);
  new DataView(header.buffer).setUint32(16, 5000);
  new DataView(header.buffer).setUint32(20, 2);
  fs.writeFileSync(folder.path("1.png"), header);
  await expect(openDataset(`images:${folder.path()}`, { images })).rejects.toThrow(/10240000 x 4096 pixels/);
});

test("colours stand in the order that is asked for, last where the network has them there, and become grey when told", async () => {
  const spec = colour();
  const rgb = await first(spec, { normalize });
  expect(rgb.shape).toEqual([1, 3, 9, 13]);
  const bgr = await first(spec, {
    normalize: { mean: [1, 2, 3], std: [1, 1, 1], divisor: 1 },
    images: { color: "bgr" },
  });
  const plane = 9 * 13;
  // Means are those of the network's channels, after the swap.
  const swapped = [2, 1, 0].flatMap((c, place) => rgb.data.slice(c * plane, (c + 1) * plane).map((v) => v - place - 1));
  expect(bgr.data).toEqual(swapped);
  const last = await first(spec, { normalize, inputShape: [null, null, 3] });
  expect(last.shape).toEqual([1, 9, 13, 3]);
  expect(last.spec).toEqual([9, 13, 3]);
  expect(last.data).toEqual([...golden.data]);
  const means = { mean: [1, 2, 3], std: [1, 2, 4], divisor: 1 };
  const both = await first(spec, { normalize: means, images: { layout: "nhwc" } });
  expect(both.data).toEqual([...golden.data].map((v, i) => (v - means.mean[i % 3]!) / means.std[i % 3]!));
  await expect(openDataset(spec, { inputShape: [1, 9, 13] })).rejects.toThrow(/color=grey/);
  const grey = await first(spec, { normalize, inputShape: [1, 9, 13], images: { color: "grey" } });
  expect(grey.shape).toEqual([1, 1, 9, 13]);
  const luma = grey.data.map((_, i) => {
    const [r, g, b] = golden.data.subarray(3 * i, 3 * i + 3);
    return 0.299 * r! + 0.587 * g! + 0.114 * b!;
  });
  // A byte, from shares of 16 bits.
  grey.data.forEach((value, i) => {
    expect(Math.abs(value - luma[i]!)).toBeLessThan(0.51);
  });
  // Grey images for a network of three channels are the same in each.
  fill({ "1.png": GOLDEN_IMAGES.greyPng.file });
  const three = await first(spec, { normalize, inputShape: [3, 9, 13] });
  expect(three.data.slice(0, plane)).toEqual(three.data.slice(2 * plane));
});

test("folders with the names of a network's classes have their numbers, and others the order of their names", async () => {
  const { file } = GOLDEN_IMAGES.colourPng;
  const spec = fill({
    "train/cat/1.png": file,
    "train/dog/1.png": file,
    "test/cat/1.png": file,
    "test/dog/1.png": file,
  });
  const named = await openDataset(spec, { labels: ["dog", "bird", "cat"], classes: 3 });
  expect([...labelsOf(await named.train.batch(Uint32Array.of(0, 1)))]).toEqual([2, 0]);
  expect(named.labels).toEqual(["dog", "bird", "cat"]);
  const others = await openDataset(spec, { labels: ["hound", "cat"] });
  expect([...labelsOf(await others.train.batch(Uint32Array.of(0, 1)))]).toEqual([0, 1]);
  expect(others.labels).toEqual(["cat", "dog"]);
  expect(others.warnings?.join()).toMatch(/dog is no class of the network \(hound, cat\), so classes are numbered/);
  expect(named.warnings).toBeUndefined();
});
