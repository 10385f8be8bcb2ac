import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { statedOfModel } from "./beside-model.ts";
import { readPreprocessWords } from "./preprocess-words.ts";
import {
  normalizeOf,
  type Preprocessing,
  preprocessingText,
  statedInMetadata,
  statedMetadata,
  trainedWith,
} from "./preprocessing.ts";
import { fromPreprocessorConfig } from "./preprocessor-config.ts";
import { settlePreprocessing } from "./settle-preprocessing.ts";

const folder = mkdtempSync(join(tmpdir(), "secateur-preprocessing-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** As cards have them: keys of Hugging Face's documentation, values of known models. */
const clip = {
  ...{ crop_size: { height: 224, width: 224 }, do_center_crop: true, do_convert_rgb: true, do_normalize: true },
  ...{ do_rescale: true, do_resize: true, image_mean: [0.48145466, 0.4578275, 0.40821073] },
  ...{ image_processor_type: "CLIPImageProcessor", image_std: [0.26862954, 0.26130258, 0.27577711] },
  ...{ resample: 3, rescale_factor: 0.00392156862745098, size: { shortest_edge: 224 } },
};
const stepsOf = (json: Readonly<Record<string, unknown>>) => fromPreprocessorConfig(json, "preprocessor_config.json");

describe("the preprocessor_config.json of a card", () => {
  test("becomes steps, colours and numbers", () => {
    expect(stepsOf(clip)).toEqual({
      ...{ of: "pixels", from: "preprocessor_config.json", resize: { shortestEdge: 224 }, resample: "bicubic" },
      ...{ crop: { height: 224, width: 224 }, color: "rgb", scale: 0.00392156862745098 },
      ...{ mean: clip.image_mean, std: clip.image_std },
    });
    expect(normalizeOf(stepsOf(clip)!)?.divisor).toBe(255);
  });

  test("of older versions has one number for a square or a shorter edge, as its type has it", () => {
    const old = { do_resize: true, size: 224, resample: 2, do_normalize: true, image_mean: 0.5, image_std: 0.5 };
    const vit = stepsOf({ ...old, feature_extractor_type: "ViTFeatureExtractor" });
    expect(vit).toMatchObject({ resize: { height: 224, width: 224 }, resample: "bilinear", mean: [0.5], std: [0.5] });
    expect(stepsOf({ ...old, feature_extractor_type: "CLIPFeatureExtractor" })?.resize).toEqual({ shortestEdge: 224 });
  });

  test("of ConvNeXT enlarges by the share that is cut, LeViT by 256/224, MobileViT swaps red and blue", () => {
    const size = { shortest_edge: 224 };
    const small = stepsOf({ do_resize: true, image_processor_type: "ConvNextImageProcessor", size, crop_pct: 0.875 });
    expect(small).toMatchObject({ resize: { shortestEdge: 256 }, crop: { height: 224, width: 224 } });
    const large = { do_resize: true, image_processor_type: "ConvNextImageProcessor", size: { shortest_edge: 384 } };
    expect(stepsOf(large)?.resize).toEqual({ height: 384, width: 384 });
    const levit = stepsOf({ do_resize: true, image_processor_type: "LevitImageProcessor", size });
    expect(levit?.resize).toEqual({ shortestEdge: 256 });
    expect(stepsOf({ do_resize: false, do_flip_channel_order: true })).toMatchObject({
      color: "bgr",
      mean: [0],
      std: [1],
    });
    expect(stepsOf({ do_rescale: false, image_mean: [1], image_std: [2] })?.scale).toBe(1);
  });

  test("of sound is none, and what is not known is refused by its name", () => {
    expect(stepsOf({ feature_extractor_type: "WhisperFeatureExtractor", sampling_rate: 16000 })).toBeUndefined();
    expect(() => stepsOf({ ...clip, do_pad: true })).toThrow(/'do_pad'.*--preprocess/);
    expect(() => stepsOf({ ...clip, size: { longest_edge: 800, shortest_edge: 600 } })).toThrow(/longest_edge/);
    expect(() => stepsOf({ ...clip, size: { shortest_edge: "36" } })).toThrow(/shortest_edge.*36/);
    expect(() => stepsOf({ ...clip, resample: 9 })).toThrow(/filter 9/);
    expect(() => stepsOf({ ...clip, image_std: [0, 0, 0] })).toThrow(/no steps/);
    expect(() => stepsOf({ ...clip, crop_size: { height: 1e9, width: 1 } })).toThrow(/1 to 4096/);
  });

  test("is found beside the model, and above a folder called onnx, with the names of classes", async () => {
    mkdirSync(join(folder, "onnx"));
    writeFileSync(join(folder, "preprocessor_config.json"), JSON.stringify(clip));
    writeFileSync(join(folder, "config.json"), JSON.stringify({ id2label: { 0: "tench", 1: "goldfish" } }));
    for (const model of ["model.onnx", "onnx/model.onnx"]) {
      const stated = await statedOfModel(join(folder, model), {});
      expect(stated).toEqual({ preprocessing: stepsOf(clip), labels: ["tench", "goldfish"] });
      // What is written keeps it, and it is read again where no card is.
      const metadata = statedMetadata(stated);
      const later = { ...stated, preprocessing: { ...stated.preprocessing, from: "metadata" } };
      expect(await statedOfModel("/elsewhere/model.onnx", metadata)).toEqual(later);
    }
    // A model's own word comes first.
    const own: Preprocessing = { of: "pixels", color: "bgr" };
    const found = await statedOfModel(join(folder, "model.onnx"), statedMetadata({ preprocessing: own }));
    expect(found.preprocessing).toEqual({ ...own, from: "metadata" });
  });
});

test("damaged entries of metadata count as absent, and ONNX's own for images are read", () => {
  const entry = (text: string) => statedInMetadata({ "secateur.preprocessing": text, "secateur.labels": text });
  for (const text of ["{", "null", '{"of":"pixels","resize":{"height":1e9,"width":1}}', '{"of":"pixels","mean":[1]}']) {
    expect(entry(text)).toEqual({});
  }
  const image = { "Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "Normalized_1_1" };
  expect(statedInMetadata(image).preprocessing).toMatchObject({
    color: "bgr",
    scale: 1 / 255,
    mean: [0.5],
    std: [0.5],
  });
});

test("words of the flag are steps, and others are refused with what is allowed", () => {
  expect(readPreprocessWords("resize=256,crop=224x200,resample=lanczos,color=bgr,layout=nhwc,scale=1/127.5")).toEqual({
    ignoresFiles: false,
    steps: {
      ...{ resize: { shortestEdge: 256 }, crop: { height: 224, width: 200 }, resample: "lanczos" },
      ...{ color: "bgr", layout: "nhwc", scale: 1 / 127.5 },
    },
  });
  expect(readPreprocessWords("card/preprocessor_config.json,crop=8")).toMatchObject({
    file: "card/preprocessor_config.json",
  });
  expect(readPreprocessWords("none").ignoresFiles).toBe(true);
  for (const text of ["", "resize", "resize=0", "resize=5000", "resize=1x2x3", "color=blue", "scale=0", "toString=1"]) {
    expect(() => readPreprocessWords(text), text).toThrow(/allowed are/);
  }
  expect(() => readPreprocessWords("crop=1,crop=2")).toThrow(/twice/);
});

describe("what is done to data", () => {
  const preprocessing: Preprocessing = {
    of: "pixels",
    from: "card",
    resize: { shortestEdge: 8 },
    scale: 1 / 255,
    mean: [0.5],
    std: [0.25],
  };
  const settle = (data: string | undefined, asked = {}, stated = { preprocessing }) =>
    settlePreprocessing({ asked, stated, data, cwd: folder });

  test("is what files say of pixels for images, with what flags say in its place", async () => {
    const { options, kept, note } = await settle("images:d");
    expect(options).toEqual({
      images: { resize: { shortestEdge: 8 } },
      normalize: { mean: [0.5], std: [0.25], divisor: 255 },
    });
    expect(kept).toEqual(preprocessing);
    expect(note).toBe("card: resize the shorter edge to 8 (bilinear), divide by 255, mean 0.5, std 0.25");
    const other = await settle("images:d", { text: "crop=4", normalize: "0,1" });
    expect(other.note).toMatch(/^card and flags: .*crop to 4 x 4/);
    expect(other.kept).toEqual({
      ...preprocessing,
      from: "card and flags",
      crop: { height: 4, width: 4 },
      mean: [0],
      std: [1],
    });
    // Repeated from its recipe it is the same to the word.
    const again = await settle("images:d", { normalize: "0,1", recipe: other.kept! });
    expect(again.kept).toEqual(other.kept);
  });

  test("is nothing for arrays, which are taken as they are, and what is known of pixels is kept", async () => {
    expect(await settle("npy:x")).toEqual({ options: {}, kept: preprocessing });
    expect(await settle(undefined)).toEqual({ options: {}, kept: preprocessing });
    const stated = {} as { preprocessing: Preprocessing };
    const own = await settle("npy:x", { normalize: "1,2" }, stated);
    expect(own).toEqual({
      options: { normalize: { mean: [1], std: [2] } },
      kept: { of: "arrays", from: "flags", mean: [1], std: [2] },
    });
    const later = await settle("npz:y", {}, { preprocessing: own.kept! });
    expect(later.options).toEqual(own.options);
  });

  test("is refused where it cannot be done, or where a card cannot be followed", async () => {
    await expect(settle("npy:x", { text: "resize=8" })).rejects.toThrow(/'resize' is done to folders of images/);
    await expect(settle("images:d", { text: "missing.json" })).rejects.toThrow(/no such file/);
    const stated = { problem: new Error("not to be followed") } as never;
    await expect(settle("images:d", {}, stated)).rejects.toThrow("not to be followed");
    expect(await settle("images:d", { text: "none" }, stated)).toEqual({ options: {} });
    expect(await settle("npy:x", {}, stated)).toEqual({ options: {} });
  });
});

test("a network trained on a folder of images keeps how they were prepared, unless its files say it, and on other data nothing", async () => {
  const splits = (channels: number) => ({
    normalisation: { divisor: 255, mean: [0.5], std: [0.25] },
    train: { inputs: [{ name: "input", shape: [channels, 4, 3] }] } as never,
    stated: { labels: ["cat", "dog"] },
  });
  const grey = trainedWith("images:d", splits(1));
  expect(grey).toEqual({
    labels: ["cat", "dog"],
    preprocessing: { of: "pixels", color: "grey", scale: 1 / 255, mean: [0.5], std: [0.25] },
  });
  expect(trainedWith("images:d", splits(3)).preprocessing?.color).toBe("rgb");
  expect(trainedWith("mnist", splits(1))).toEqual({ labels: ["cat", "dog"] });
  const stated = { preprocessing: { of: "arrays" as const } };
  expect(trainedWith("images:d", { ...splits(1), stated })).toEqual(stated);
  // What is written down opens the same data the same way.
  const again = await settlePreprocessing({
    ...{ asked: {}, stated: statedInMetadata(statedMetadata(grey)), data: "images:d", cwd: folder },
  });
  expect(again.options).toEqual({
    images: { color: "grey" },
    normalize: { divisor: 255, mean: [0.5], std: [0.25] },
  });
});

test("many numbers are a few in words", () => {
  expect(preprocessingText({ of: "arrays", mean: [1, 2, 3, 4, 5], std: [1, 1, 1, 1, 1] })).toBe(
    "mean 1, 2, 3, 4 and 1 more, std 1, 1, 1, 1 and 1 more",
  );
});
