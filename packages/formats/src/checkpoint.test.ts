import { describe, expect, test } from "vitest";
import { checkpointEncoderFor } from "./files/checkpoint-encoder.ts";
import { decodeCheckpoint } from "./files/decode-checkpoint.ts";
import { detectFormat, type FileFormat } from "./files/detect-format.ts";
import { encodeNpy } from "./npy/encode-npy.ts";
import { encodeSafetensors } from "./safetensors/encode-safetensors.ts";
import type { NamedTensor } from "./tensor.ts";
import { codeThrownBy } from "./testing.test-support.ts";

const tensors: NamedTensor[] = [{ name: "w", dtype: "f32", shape: [2], data: Float32Array.of(1, 2) }];
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** A zip file's first local header, naming its first entry. */
function zipOf(name: string): Uint8Array {
  const file = new Uint8Array(30 + name.length);
  file.set([0x50, 0x4b, 3, 4]);
  file[26] = name.length;
  file.set(ascii(name), 30);
  return file;
}

const refused: readonly (readonly [FileFormat, Uint8Array, RegExp])[] = [
  ["pickle", hex("8004 9500 0000"), /Python pickle/],
  ["tfjs", ascii('{\n  "format": "layers-model", "modelTopology": {}, "weightsManifest": []}'), /secateur prune/],
  ["npy", encodeNpy({ shape: [1], data: new Float32Array(1) }), /'solve'/],
  ["npz", zipOf("x.npy"), /\.npz archive.*numpy\.load/],
  ["zip", zipOf("readme.txt"), /unpack it/],
  ["hdf5", hex("8948 4446 0d0a 1a0a 0000"), /Keras/],
  ["gguf", ascii("GGUF\u0003\0\0\0"), /GGUF/],
  ["gzip", hex("1f8b 0800"), /gunzip/],
  ["tar", Uint8Array.of(...new Uint8Array(257), ...ascii("ustar\u000000")), /tar archive.*unpack it/],
  ["git-lfs-pointer", ascii("version https://git-lfs.github.com/spec/v1\noid sha256:0"), /git lfs pull/],
  ["html", ascii("<!DOCTYPE html><html>"), /web page/],
  ["unknown", ascii("label,pixel\n1,2\n"), /unknown format/],
];

describe("a file is told by its content and not its name:", () => {
  for (const [format, bytes, message] of refused) {
    test(`${format} is recognised and refused with what to do`, () => {
      expect(detectFormat(bytes)).toBe(format);
      expect(codeThrownBy(() => decodeCheckpoint(bytes, "model.safetensors"))).toBe("ERR_FORMAT");
      expect(() => decodeCheckpoint(bytes, "model.safetensors")).toThrow(message);
    });
  }

  test("safetensors is read", () => {
    const file = encodeSafetensors({ tensors });
    expect(detectFormat(file)).toBe("safetensors");
    expect(decodeCheckpoint(file, "model.pt").tensors).toEqual(tensors);
  });

  test("safetensors with a header of 123 bytes, the code of '{', is not taken for JSON", () => {
    const json = `{"__metadata__":{"weightsManifest":"${"x".repeat(200)}"}}`.replace(/x+/, (xs) =>
      xs.slice(0, 123 - 40),
    );
    const file = new Uint8Array(8 + 123).fill(0x20);
    file.set([0x7b, 0, 0, 0, 0, 0, 0, 0]);
    file.set(ascii(json), 8);
    expect(json.length).toBeLessThanOrEqual(123);
    expect(detectFormat(file)).toBe("safetensors");
    expect(decodeCheckpoint(file, "x").tensors).toEqual([]);
  });

  test("safetensors with a damaged header length is reported as damaged safetensors", () => {
    const file = encodeSafetensors({ tensors });
    file[6] = 0x40;
    expect(codeThrownBy(() => decodeCheckpoint(file, "x"))).toBe("ERR_SAFETENSORS");
  });

  test("an empty file is called empty", () => {
    expect(() => decodeCheckpoint(new Uint8Array(0), "x.safetensors")).toThrow(
      "x.safetensors: not a valid safetensors file: found an empty file",
    );
  });
});

describe("an output's ending", () => {
  test("chooses its format, in any case", () => {
    expect(checkpointEncoderFor("a.b/out.SafeTensors")({ tensors })).toEqual(
      encodeSafetensors({ tensors, checksum: true }),
    );
  });

  test("that names no format is refused with the known ones", () => {
    expect(codeThrownBy(() => checkpointEncoderFor("out.pt"))).toBe("ERR_OUTPUT_FORMAT");
    expect(() => checkpointEncoderFor("out.pt")).toThrow(/out\.pt: .*known: \.safetensors/);
  });
});
