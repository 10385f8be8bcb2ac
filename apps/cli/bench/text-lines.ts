/**
 * Lines of text and a recogniser that reads them: FOLDER holds calibration.npy and test.npy, grey images uint8 [lines, height, width], and NAME-texts.json
 * with what they say. A pixel p goes in as (p / 255 - .5) / .5, the same in three channels; what comes out is read greedily: the likeliest class
 * of each position, repeats dropped, class 0 (blank) dropped, class i the i-th line of the dictionary, the last class a space.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { batches, type Dataset, type Model, type RunContext } from "@secateur/core";
import { readNpyNumbers } from "@secateur/formats";
import { badUsage } from "@secateur/run";

/** Lines with what they say. */
export interface TextLines {
  /** Inputs f32 [3, height, width], made as they are asked for: nine numbers are not held for every pixel. */
  readonly data: Dataset;
  readonly texts: readonly string[];
}

/** @throws ERR_USAGE unless there is a text for every image */
export async function readLines(
  folder: string,
  { part, input }: { part: "calibration" | "test"; input: string },
): Promise<TextLines> {
  const { shape, data: pixels } = await readNpyNumbers(join(folder, `${part}.npy`));
  const texts = JSON.parse(readFileSync(join(folder, `${part}-texts.json`), "utf8")) as readonly string[];
  const [size = 0, height = 0, width = 0] = shape;
  if (shape.length !== 3 || texts.length !== size) {
    throw badUsage(
      `${folder}: ${part}.npy is [${shape.join(", ")}] and ${part}-texts.json has ${texts.length} texts; give images [lines, height, width] and as many texts`,
    );
  }
  const pixelsEach = height * width;
  const data: Dataset = {
    ...{ name: `${part} lines`, size },
    inputs: [{ name: input, shape: [3, height, width], dtype: "f32" }],
    batch(indices) {
      const images = new Float32Array(indices.length * 3 * pixelsEach);
      indices.forEach((line, i) => {
        const place = i * 3 * pixelsEach;
        for (let p = 0; p < pixelsEach; p++)
          images[place + p] = (Number(pixels[line * pixelsEach + p]) / 255 - 0.5) / 0.5;
        for (const channel of [1, 2]) {
          images.copyWithin(place + channel * pixelsEach, place, place + pixelsEach);
        }
      });
      const tensor = { shape: [indices.length, 3, height, width], data: images };
      return { size: indices.length, inputs: { [input]: tensor } };
    },
  };
  return { data, texts };
}

/** Classes by number: the blank, the lines of the file, a space. */
export function readDictionary(file: string): readonly string[] {
  return ["", ...readFileSync(file, "utf8").replace(/\n$/, "").split("\n"), " "];
}

/** Character accuracy 100 (1 - edit distance / characters) over all lines, in percent; below 0 where more is made up than there is. */
export async function characterAccuracy(
  { model, lines, dictionary }: { model: Model; lines: TextLines; dictionary: readonly string[] },
  ctx: RunContext,
): Promise<number> {
  let [wrong, characters, line] = [0, 0, 0];
  for await (const batch of batches(lines.data, 32)) {
    const [output] = Object.values(await model.run!(batch, ctx));
    const [, positions = 0, classes = 0] = output!.shape;
    for (let i = 0; i < batch.size; i++, line++) {
      const scores = output!.data.subarray(i * positions * classes, (i + 1) * positions * classes);
      const wanted = [...lines.texts[line]!];
      wrong += editDistance([...textOf(scores, { classes, dictionary })], wanted);
      characters += wanted.length;
    }
  }
  return 100 * (1 - wrong / characters);
}

function textOf(
  scores: Float32Array | Float64Array,
  { classes, dictionary }: { classes: number; dictionary: readonly string[] },
): string {
  let [text, last] = ["", 0];
  for (let start = 0; start < scores.length; start += classes) {
    let best = 0;
    for (let c = 1; c < classes; c++) if (scores[start + c]! > scores[start + best]!) best = c;
    if (best !== last) text += dictionary[best] ?? "";
    last = best;
  }
  return text.trim();
}

/** Insertions, deletions and replacements (Levenshtein). */
function editDistance(found: readonly string[], wanted: readonly string[]): number {
  let row = Uint32Array.from({ length: wanted.length + 1 }, (_, j) => j);
  found.forEach((character, i) => {
    const next = new Uint32Array(row.length);
    next[0] = i + 1;
    wanted.forEach((other, j) => {
      next[j + 1] = Math.min(row[j]! + (character === other ? 0 : 1), row[j + 1]! + 1, next[j]! + 1);
    });
    row = next;
  });
  return row[wanted.length]!;
}
