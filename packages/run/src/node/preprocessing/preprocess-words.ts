/** `--preprocess`: words such as resize=256,crop=224, and before them, or alone, the file of a model card or "none". */
import { type ImageSize, resamples } from "@secateur/datasets";
import { badUsage } from "../../errors.ts";
import { mostExtent, type Preprocessing } from "./preprocessing.ts";

/** What a flag says. */
export interface PreprocessWords {
  /** The file named, as it was written. */
  readonly file?: string;
  /** "none": what files state is passed over. */
  readonly ignoresFiles: boolean;
  readonly steps: Omit<Preprocessing, "of" | "from">;
}

const allowed = `preprocessor_config.json, none, and words of resize=256 (the shorter edge) or resize=224x320 (height x width), crop=224, resample=${resamples.join("|")}, color=rgb|bgr|grey, layout=nchw|nhwc, scale=1/255, joined by commas (mean and std: --normalize)`;

/** Reads the flag. @throws ERR_USAGE */
export function readPreprocessWords(text: string): PreprocessWords {
  const [first = "", ...rest] = text.split(",").map((part) => part.trim());
  const isFile = /\.json$/i.test(first);
  const ignoresFiles = first === "none";
  const words = isFile || ignoresFiles ? rest : [first, ...rest];
  const refuse = (word: string): never => {
    throw badUsage(`--preprocess: found '${word.slice(0, 100)}', allowed are ${allowed}`, { text });
  };
  const steps = new Map<string, unknown>();
  for (const word of words) {
    const [key = "", value = ""] = word.split(/=(.*)/s);
    if (steps.has(key)) throw badUsage(`--preprocess says '${key}' twice; say it once`, { text, key });
    steps.set(key, Object.hasOwn(readers, key) ? (readers[key]!(value) ?? refuse(word)) : refuse(word));
  }
  return { ...(isFile ? { file: first } : {}), ignoresFiles, steps: Object.fromEntries(steps) };
}

const readers: Readonly<Record<string, (value: string) => unknown>> = {
  resize(value) {
    const edge = extentFrom(value);
    return edge === undefined ? sizeFrom(value) : { shortestEdge: edge };
  },
  crop(value) {
    const edge = extentFrom(value);
    return edge === undefined ? sizeFrom(value) : { height: edge, width: edge };
  },
  resample: (value) => resamples.find((name) => name === value),
  color: (value) => ["rgb", "bgr", "grey"].find((name) => name === value),
  layout: (value) => ["nchw", "nhwc"].find((name) => name === value),
  scale(value) {
    const [, divisor] = /^1\/(.+)$/.exec(value) ?? [];
    const scale = divisor === undefined ? Number(value) : 1 / Number(divisor);
    return value.trim() !== "" && scale > 0 && Number.isFinite(scale) ? scale : undefined;
  },
};

function extentFrom(value: string): number | undefined {
  const extent = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  return extent >= 1 && extent <= mostExtent ? extent : undefined;
}

function sizeFrom(value: string): ImageSize | undefined {
  const [height, width, ...more] = value.split("x").map(extentFrom);
  return height !== undefined && width !== undefined && more.length === 0 ? { height, width } : undefined;
}
