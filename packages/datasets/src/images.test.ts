import fs from "node:fs";
import { dirname } from "node:path";
import { deflateSync } from "node:zlib";
import { labelsOf } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { loadJpegDecoder } from "./images/decode-jpeg.ts";
import { GOLDEN_IMAGES } from "./images/image-goldens.test-support.ts";
import { imageHeader } from "./images/image-header.ts";
import { openDataset } from "./open-dataset.ts";
import { errorOf, useFolder } from "./testing.test-support.ts";

const folder = useFolder();
type Golden = keyof typeof GOLDEN_IMAGES;
const file = (name: Golden): Uint8Array => new Uint8Array(Buffer.from(GOLDEN_IMAGES[name].file, "base64"));

/** Pixels [3, 9, 13] as PIL reads them. */
function planes(name: Golden): number[] {
  const rgb = Buffer.from(GOLDEN_IMAGES[name].rgb, "base64");
  return [0, 1, 2].flatMap((channel) => Array.from({ length: 9 * 13 }, (_, i) => rgb[3 * i + channel]!));
}

/** Fills the folder; names may have folders in them. */
function fill(files: Readonly<Record<string, Uint8Array>>): string {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(dirname(folder.path(name)), { recursive: true });
    fs.writeFileSync(folder.path(name), content);
  }
  return `images:${folder.path()}`;
}

/** A train and a test split of two classes, with changes; undefined leaves a file out. */
function twoClasses(changes: Readonly<Record<string, Uint8Array | undefined>> = {}): Record<string, Uint8Array> {
  const files = {
    "train/b/1.png": file("colourPng"),
    "train/a/2.JPG": file("colourJpeg"),
    "train/a/1.png": file("alphaPng"),
    "test/a/1.png": file("colourPng"),
    "test/b/1.jpeg": file("fullJpeg"),
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(files).filter((entry): entry is [string, Uint8Array] => entry[1] !== undefined),
  );
}

/** A PNG of any header, with the given inflated data. */
function png(
  header: { width: number; height: number; depth?: number; colour?: number; interlaced?: number },
  data: Uint8Array,
): Uint8Array {
  const { width, height, depth = 8, colour = 0, interlaced = 0 } = header;
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(width, 0);
  ihdr.writeUInt32BE(height, 4);
  ihdr.set([depth, colour, 0, 0, interlaced], 8);
  const chunks: readonly (readonly [string, Uint8Array])[] = [
    ["IHDR", ihdr],
    ["IDAT", deflateSync(data)],
    ["IEND", new Uint8Array(0)],
  ];
  const parts = chunks.map(([type, content]) => {
    const body = Buffer.concat([Buffer.from(type), content]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, sum]);
  });
  return new Uint8Array(Buffer.concat([Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), ...parts]));
}

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
}

/** The bytes of example `index`, undoing the division by 255. */
async function bytesOf(split: { batch(indices: Uint32Array): unknown }, index: number): Promise<number[]> {
  const { inputs } = (await split.batch(Uint32Array.of(index))) as { inputs: { input: { data: Float32Array } } };
  return Array.from(inputs.input.data, (value) => Math.round(value * 255));
}

describe("a folder of images", () => {
  test("becomes splits by its folders, labelled by the sorted names of the class folders", async () => {
    const spec = fill(twoClasses());
    const { train, test, normalisation, warnings } = await openDataset(spec);
    expect(warnings).toBeUndefined();
    expect(normalisation).toEqual({ divisor: 255, mean: [0], std: [1] });
    expect(train).toMatchObject({
      name: `${spec} train`,
      size: 3,
      inputs: [{ shape: [3, 9, 13] }],
      targets: [{ classes: 2 }],
    });
    expect(test).toMatchObject({ size: 2, inputs: [{ shape: [3, 9, 13] }], targets: [{ classes: 2 }] });
    expect(labelsOf(await train.batch(Uint32Array.of(2, 0, 1)))).toEqual(Uint32Array.of(1, 0, 0));
    expect(await bytesOf(train, 0)).toEqual(planes("alphaPng"));
    expect(await bytesOf(train, 1)).toEqual(planes("colourJpeg"));
    expect(await bytesOf(train, 2)).toEqual(planes("colourPng"));
    expect(await bytesOf(test, 1)).toEqual(planes("fullJpeg"));
  });

  const names = Object.keys(GOLDEN_IMAGES).filter((name): name is Golden => name !== "cmykJpeg");
  for (const name of names) {
    test(`gives the pixels of ${name} that PIL gives, byte for byte`, async () => {
      const end = name.endsWith("Png") ? "png" : "jpg";
      const spec = fill({
        "train/a/0.png": file("colourPng"),
        [`train/a/1.${end}`]: file(name),
        "val/a/0.png": file("colourPng"),
      });
      const { train } = await openDataset(spec);
      expect(await bytesOf(train, 1)).toEqual(planes(name));
    });
  }

  test("without any folders has no labels, and one split for both uses", async () => {
    const flat = { "2.png": file("colourPng"), "1.png": file("alphaPng"), "notes.txt": new Uint8Array(3) };
    const { train, test: other, warnings } = await openDataset(fill(flat), { classes: 7 });
    expect(other).toBe(train);
    expect(train).toMatchObject({ size: 2, inputs: [{ shape: [3, 9, 13] }] });
    expect(train.targets).toBeUndefined();
    const batch = await train.batch(Uint32Array.of(1));
    expect(batch.targets).toBeUndefined();
    expect(Object.values(batch.inputs)[0]!.shape).toEqual([1, 3, 9, 13]);
    expect(warnings).toEqual([expect.stringMatching(/1 file\(s\) .* are left out: notes\.txt/)]);
  });

  test("of greys only has one channel", async () => {
    const spec = fill({
      "train/a/0.png": file("greyPng"),
      "train/a/1.jpg": file("greyJpeg"),
      "valid/a/0.png": file("greyAlphaPng"),
    });
    const { train, test } = await openDataset(spec, { normalize: { mean: [0], std: [1] } });
    expect(train.inputs[0]!.shape).toEqual([1, 9, 13]);
    expect(await bytesOf(train, 0)).toEqual(planes("greyPng").slice(0, 117));
    expect(await bytesOf(train, 1)).toEqual(planes("greyJpeg").slice(0, 117));
    expect(await bytesOf(test, 0)).toEqual(planes("greyAlphaPng").slice(0, 117));
  });

  test.each([
    ["Train", "Test"],
    ["training", "testing"],
    ["TRAIN", "dev"],
    ["training_set", "test_set"],
    ["train-set", "Val"],
    ["train", "Validation Set"],
  ])("may call its splits %s and %s", async (trainName, testName) => {
    const files = Object.entries(twoClasses()).map(
      ([name, content]) => [name.replace(/^train/, trainName).replace(/^test/, testName), content] as const,
    );
    const { train, test, warnings } = await openDataset(fill(Object.fromEntries(files)));
    expect([train.size, test.size, train.targets![0]!.classes]).toEqual([3, 2, 2]);
    expect(warnings).toBeUndefined();
  });

  test("says which of two possible test splits it leaves out", async () => {
    const { test, warnings } = await openDataset(fill(twoClasses({ "val/a/9.png": file("greyPng") })));
    expect(test.size).toBe(2);
    expect(warnings).toEqual([`${folder.path()}: test is the test split; not used: val`]);
  });

  test("may have a class named like a split beside others, and one folder in each class", async () => {
    const names = Array.from({ length: 40 }, (_, i) => `${i % 2 === 0 ? "car" : "train"}/images/${i}.png`);
    const { train } = await openDataset(fill(Object.fromEntries(names.map((name) => [name, file("greyPng")]))));
    expect(train.targets![0]!.classes).toBe(2);
  });

  test("trains every class, also one whose only image would be in the test split, and says so", async () => {
    const common = Array.from({ length: 20 }, (_, i) => `common/${i}.png`);
    // Whatever the hash says of one name, of twenty names some would be in the test split.
    const rare = Array.from({ length: 20 }, (_, i) => `rare${String(i).padStart(2, "0")}/only.png`);
    const files = Object.fromEntries([...common, ...rare].map((name) => [name, file("greyPng")]));
    const { train, warnings } = await openDataset(fill(files));
    const all = await train.batch(Uint32Array.from({ length: train.size }, (_, i) => i));
    expect(new Set(labelsOf(all)).size).toBe(21);
    expect(warnings?.[1]).toMatch(/no image of rare\d\d.* would be in the training split, so the first of each is/);
  });

  test("keeps the upper 8 of 16 bits, says so, and reads rows in seven passes", async () => {
    const deep = png({ width: 2, height: 1, depth: 16 }, Uint8Array.of(0, 0x12, 0xff, 0xab, 0x00));
    // Of 2 x 2 pixels, pass 1 has the first, pass 6 the one beside it, pass 7 the second row.
    const passes = png({ width: 2, height: 1, interlaced: 1 }, Uint8Array.of(0, 7, 0, 9));
    const { train, test, warnings } = await openDataset(fill({ "train/a/0.png": deep, "test/a/0.png": passes }));
    expect(warnings).toEqual([
      expect.stringMatching(/of 1 image\(s\) of 16 bits a value the upper 8 are used: .*0\.png/),
    ]);
    expect(await bytesOf(train, 0)).toEqual([0x12, 0xab]);
    expect(await bytesOf(test, 0)).toEqual([7, 9]);
  });

  test("without train and test splits by a hash of the names, alike each time, and says so", async () => {
    const names = Array.from({ length: 40 }, (_, i) => `${i % 2 === 0 ? "cat" : "dog"}/${i}.png`);
    const spec = fill(Object.fromEntries(names.map((name) => [name, file("greyPng")])));
    const { train, test, warnings } = await openDataset(spec);
    expect(train.size + test.size).toBe(40);
    // One in five is 8 in the mean; a fair hash leaves 1 to 20 but once in 10^4.
    expect(test.size).toBeGreaterThanOrEqual(1);
    expect(test.size).toBeLessThanOrEqual(20);
    expect(warnings).toEqual([
      `${folder.path()}: has no folders train and test, so ${test.size} of its 40 images, chosen by a hash of their names, are the test split`,
    ]);
    const all = Uint32Array.from({ length: test.size }, (_, i) => i);
    const again = await openDataset(spec);
    expect(labelsOf(await again.test.batch(all))).toEqual(labelsOf(await test.batch(all)));
    fs.rmSync(folder.path("cat/0.png"));
    const fewer = await openDataset(spec);
    // An image stays in its split whatever happens to others.
    expect([fewer.train.size, fewer.test.size]).toEqual(
      [train.size - 1, test.size].map((n, i) => n + (train.size + test.size - 40) * i),
    );
  });

  test("leaves other files out and names them; hidden files do not count", async () => {
    const text = new TextEncoder().encode("text");
    const files = { "train/a/.DS_Store": text, "train/a/readme.txt": text, "train/b/deeper/3.webp": text };
    const { train, warnings } = await openDataset(fill(twoClasses(files)));
    expect(train.size).toBe(3);
    expect(warnings).toEqual([
      `${folder.path("train")}: 2 file(s) that end in neither .png, .jpg nor .jpeg are left out: a/readme.txt, b/deeper/3.webp`,
    ]);
  });

  test("reads an image when it is first asked for, and once", async () => {
    const { train } = await openDataset(fill(twoClasses()));
    await train.batch(Uint32Array.of(2));
    fs.rmSync(folder.path("train/b/1.png"));
    expect(await bytesOf(train, 2)).toEqual(planes("colourPng"));
    fs.rmSync(folder.path("train/a/1.png"));
    expect((await errorOf(() => train.batch(Uint32Array.of(0)))).code).toBe("ERR_FILE_NOT_FOUND");
  });

  const small = png({ width: 1, height: 1 }, Uint8Array.of(0, 5));
  const bad: readonly (readonly [what: string, files: Record<string, Uint8Array>, code: string, message: RegExp])[] = [
    [
      "of mixed sizes",
      twoClasses({ "test/b/2.png": small, "train/b/2.png": small }),
      "ERR_SHAPE",
      /images of 2 sizes: 13 x 9 \(5, such as .*1\.png\), 1 x 1 \(2, such as .*2\.png\)/,
    ],
    [
      "with split folders only, none of training",
      { "Test/a/1.png": small, "val/b/1.png": small },
      "ERR_CLASS_FOLDERS",
      /found Test, val, which are names of splits and not of classes/,
    ],
    [
      "with two folders for training",
      twoClasses({ "Training/a/1.png": small }),
      "ERR_CLASS_FOLDERS",
      /the folders Training, train, each of which may be the training split/,
    ],
    [
      "with splits of names that nobody knows",
      { "p1/a/1.png": small, "p1/b/1.png": small, "p2/a/1.png": small, "p2/b/1.png": small },
      "ERR_CLASS_FOLDERS",
      /found p1, p2, which all hold the folders a, b/,
    ],
    [
      "with empty class folders",
      twoClasses({ "train/c/x.txt": small, "train/d/y.txt": small }),
      "ERR_CLASS_FOLDERS",
      /no images in 2 of 4 class folders: c, d/,
    ],
    [
      "with a class in the test split only",
      twoClasses({ "test/z/1.png": small }),
      "ERR_CLASS_FOLDERS",
      /class folder\(s\) z, which .*train does not have/,
    ],
    ["without class folders", { "1.txt": small }, "ERR_CLASS_FOLDERS", /no folders among its 1 entries/],
    [
      "with too few images to split",
      { "a/1.png": small },
      "ERR_CLASS_FOLDERS",
      /1 image\(s\) and no folders train and test/,
    ],
    [
      "with an empty file",
      twoClasses({ "test/b/0.png": new Uint8Array(0) }),
      "ERR_IMAGE",
      /0\.png: not a usable image: found an empty file/,
    ],
    [
      "with a file of another format",
      twoClasses({ "test/b/0.png": new TextEncoder().encode("GIF89a") }),
      "ERR_IMAGE",
      /found another format/,
    ],
    [
      "with a JPEG of four components",
      twoClasses({ "test/b/0.jpg": file("cmykJpeg") }),
      "ERR_IMAGE",
      /JPEG of 4 components/,
    ],
    [
      "with a JPEG that ends in its header",
      twoClasses({ "test/b/0.jpg": file("colourJpeg").slice(0, 30) }),
      "ERR_IMAGE",
      /without a frame header/,
    ],
    [
      "with an image of too many pixels",
      twoClasses({ "test/b/0.png": png({ width: 2 ** 20, height: 2 ** 20 }, new Uint8Array(0)) }),
      "ERR_IMAGE",
      /1048576 x 1048576 pixels/,
    ],
  ];
  for (const [what, files, code, message] of bad) {
    test(`${what} is refused when it is opened`, async () => {
      const error = await errorOf(() => openDataset(fill(files)));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(message);
    });
  }

  test("with another number of classes than the network is refused", async () => {
    const error = await errorOf(() => openDataset(fill(twoClasses()), { classes: 10 }));
    expect(error.message).toMatch(/2 class folders \(a, b\), expected 10, one for each class of the network/);
  });

  test("needs a folder", async () => {
    expect((await errorOf(() => openDataset("images"))).code).toBe("ERR_DATA_SPEC");
    expect((await errorOf(() => openDataset("images:"))).code).toBe("ERR_DATA_SPEC");
  });

  const size = { width: 13, height: 9 };
  const damaged: readonly (readonly [what: string, name: string, content: Uint8Array, message: RegExp])[] = [
    ["a PNG that ends early", "0.png", file("colourPng").slice(0, -20), /ends inside a chunk/],
    ["a PNG with a byte changed", "0.png", withChange(file("colourPng"), 60), /damaged PNG/],
    [
      "a PNG with fewer pixels than its header says",
      "0.png",
      png(size, new Uint8Array(14 * 8)),
      /112 bytes of pixels, expected 126/,
    ],
    [
      "a PNG with a second header",
      "0.png",
      withChunk(
        png(size, new Uint8Array(14 * 9)),
        png({ width: 60000, height: 60000 }, new Uint8Array(0)).slice(8, 33),
      ),
      /the chunks IHDR, IHDR, IDAT, IEND, expected IHDR, IDAT, IEND/,
    ],
    [
      "a PNG of a palette that it does not have",
      "0.png",
      png({ ...size, colour: 3 }, new Uint8Array(14 * 9)),
      /the chunks IHDR, IDAT, IEND, expected IHDR, PLTE, IDAT, IEND/,
    ],
    [
      "a PNG of a colour type that does not exist",
      "0.png",
      png({ ...size, colour: 1 }, new Uint8Array(14 * 9)),
      /colour type 1 with 8 bits/,
    ],
    [
      "a JPEG of hundreds of scans",
      "0.jpg",
      withScans(300),
      /a JPEG of 310 scans over 13 x 9 pixels, expected at most 64/,
    ],
    ["a PNG that inflates without end", "0.png", png(size, new Uint8Array(1e7)), /damaged PNG/],
    ["a PNG of a filter that does not exist", "0.png", png(size, new Uint8Array(14 * 9).fill(9)), /damaged PNG/],
    [
      "an interlaced PNG of single bits",
      "0.png",
      png({ ...size, depth: 1, interlaced: 1 }, new Uint8Array(9)),
      /interlaced PNG of 1 bits/,
    ],
    ["a JPEG that ends early", "0.jpg", file("colourJpeg").slice(0, -60), /damaged JPEG/],
  ];
  for (const [what, name, content, message] of damaged) {
    test(`with ${what} is refused when that is asked for`, async () => {
      const { train } = await openDataset(fill(twoClasses({ [`train/a/${name}`]: content })));
      const error = await errorOf(() => train.batch(Uint32Array.of(0)));
      expect(error.code).toBe("ERR_IMAGE");
      expect(error.message).toMatch(message);
      expect(await bytesOf(train, 1)).toEqual(planes("alphaPng"));
    });
  }
});

test("a JPEG has the same pixels whatever damaged ones were decoded before it", async () => {
  const good = file("colourJpeg");
  const header = imageHeader(good, "good.jpg");
  const pixels = (await loadJpegDecoder())(good, header, "good.jpg");
  // 150 refusals: the codec is used again after most of them, and another is loaded after the 64th and the 128th.
  for (let i = 0; i < 150; i++) {
    const decode = await loadJpegDecoder();
    expect(() => decode(good.slice(0, -10 - (i % 100)), header, "bad.jpg")).toThrow(/damaged JPEG/);
    expect((await loadJpegDecoder())(good, header, "good.jpg")).toEqual(pixels);
  }
});

/** A PNG with another chunk after its header. */
function withChunk(bytes: Uint8Array, chunk: Uint8Array): Uint8Array {
  return Uint8Array.of(...bytes.slice(0, 33), ...chunk, ...bytes.slice(33));
}

/** The progressive golden image with headers of `count` more scans before its end. */
function withScans(count: number): Uint8Array {
  const bytes = file("progressiveJpeg");
  const scan = Uint8Array.of(0xff, 0xda, 0, 8, 1, 1, 0, 1, 1, 0);
  return Uint8Array.of(...bytes.slice(0, -2), ...Array.from({ length: count }, () => [...scan]).flat(), 0xff, 0xd9);
}

function withChange(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed[at]! ^= 0xff;
  return changed;
}
