/** Recordings as windows of their samples: `wav:DIR`. */
import { inputName, tensorDataset } from "@secateur/core";
import { badDataSpec, badRecording, emptyDataset } from "../errors.ts";
import { fileIn, isFolder, listFolder, readFile } from "../node-files.ts";
import type { DataSource, DatasetSplits, OpenRequest } from "../source.ts";

/** Numbers of all windows together: 512 MiB of f32. */
const mostNumbers = 2 ** 27;

/**
 * The .wav files of a folder, sorted by name and cut into windows as long as an example of the model's first input; a rest that fills none is left out.
 * Samples are in [-1, 1), the mean of the channels. No labels; one split serves for both uses.
 */
export const wavSource: DataSource = {
  name: "wav",
  usages: ["wav:DIR"],
  summary: "windows of the recordings (.wav) in a folder, as long as the model's input; unlabelled",
  async open({ spec, argument, options }: OpenRequest): Promise<DatasetSplits> {
    if (!argument || !isFolder(argument))
      throw badDataSpec({ found: spec, expected: "wav:DIR with a folder of .wav files" });
    if (options.normalize) throw badDataSpec({ found: `a normalisation of ${spec}`, expected: "samples as they are" });
    const { windowLength: length } = options;
    if (length === undefined || length < 1) {
      const expected = "a model that says how long its input is (for ONNX: --input-shape NAME=batch,512)";
      throw badDataSpec({ found: spec, expected });
    }
    const names = listFolder(argument).filter((name) => /\.wav$/i.test(name));
    const parts: Float32Array[] = [];
    let [count, rate] = [0, 0];
    for (const name of names) {
      const path = fileIn(argument, name);
      const recording = decodeWav(readFile(path), path);
      rate ||= recording.rate;
      if (recording.rate !== rate) {
        throw badRecording({
          path,
          found: `${recording.rate} samples a second`,
          expected: `${rate}, as the others have`,
        });
      }
      const windows = Math.floor(recording.samples.length / length);
      count += windows;
      if (count * length > mostNumbers) {
        throw badRecording({ path: argument, found: `more than ${mostNumbers} samples`, expected: "fewer recordings" });
      }
      parts.push(recording.samples.subarray(0, windows * length));
    }
    if (count === 0) throw emptyDataset(spec);
    const data = new Float32Array(count * length);
    let at = 0;
    for (const part of parts) {
      data.set(part, at);
      at += part.length;
    }
    const name = options.inputNames?.[0] ?? inputName;
    const dataset = tensorDataset({ name: spec, inputs: { [name]: { shape: [count, length], data } } });
    return { name: spec, train: dataset, test: dataset, normalisation: { divisor: 1, mean: [0], std: [1] } };
  },
};

/** Whole numbers of 8 (unsigned), 16, 24 or 32 bits, or f32, of any number of channels (RIFF WAVE; Microsoft and IBM 1991). */
function decodeWav(bytes: Uint8Array, path: string): { readonly samples: Float32Array; readonly rate: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  const refuse = (found: string, expected: string): never => {
    throw badRecording({ path, found, expected });
  };
  if (bytes.length < 12 || text(0) !== "RIFF" || text(8) !== "WAVE") refuse("no RIFF header", "a .wav file");
  let format: { kind: number; channels: number; rate: number; bits: number } | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const [name, from] = [text(at), at + 8];
    if (name === "fmt " && size >= 16 && from + size <= bytes.length) {
      const kind = view.getUint16(from, true);
      format = {
        // What follows the extensible format begins with the plain one's number.
        kind: kind === 0xfffe && size >= 26 ? view.getUint16(from + 24, true) : kind,
        channels: view.getUint16(from + 2, true),
        rate: view.getUint32(from + 4, true),
        bits: view.getUint16(from + 14, true),
      };
    } else if (name === "data") {
      if (!format) return refuse("samples before their format", "a fmt chunk first");
      const read =
        readerOf(format.kind, format.bits) ??
        refuse(`format ${format.kind} of ${format.bits} bits`, "PCM of 8 to 32 bits, or f32");
      const { channels, rate, bits } = format;
      if (channels < 1) refuse("no channels", "one or more");
      const width = bits / 8;
      const samples = new Float32Array(Math.floor(Math.min(size, bytes.length - from) / (width * channels)));
      for (let i = 0, place = from; i < samples.length; i++) {
        let sum = 0;
        for (let c = 0; c < channels; c++, place += width) sum += read(view, place);
        samples[i] = sum / channels;
      }
      const bad = samples.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) refuse(`sample ${bad}, which is no finite number`, "finite ones");
      return { samples, rate };
    }
    // Chunks begin at even places.
    at = from + size + (size % 2);
  }
  return refuse("no samples", "a data chunk");
}

function readerOf(kind: number, bits: number): ((view: DataView, at: number) => number) | undefined {
  if (kind === 3 && bits === 32) return (view, at) => view.getFloat32(at, true);
  if (kind !== 1) return undefined;
  if (bits === 8) return (view, at) => (view.getUint8(at) - 128) / 128;
  if (bits === 16) return (view, at) => view.getInt16(at, true) / 2 ** 15;
  if (bits === 24) return (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23;
  return bits === 32 ? (view, at) => view.getInt32(at, true) / 2 ** 31 : undefined;
}
