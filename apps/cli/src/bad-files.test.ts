/** Every bad file ends with exit code 2, one line on stderr that names place and remedy, and nothing on stdout. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeNpy, encodeSafetensors, type NamedTensor } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { halving, refused, type SmallTask, smallArch, smallTask, smallTensors } from "./testing.test-support.ts";

function evalArgs({ model, data }: SmallTask): readonly string[] {
  return ["eval", model, "--data", data];
}

interface Entry {
  dtype: string;
  data_offsets: [number, number];
}

/** Rewrites the header of a safetensors file. */
function withHeader(bytes: Uint8Array, change: (header: Record<string, Entry>) => void): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, Entry>;
  change(header);
  const json = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + json.length + bytes.length - 8 - length);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  out.set(bytes.subarray(8 + length), 8 + json.length);
  return out;
}

describe("a checkpoint that cannot be used", () => {
  const damages: readonly [string, (bytes: Uint8Array) => Uint8Array, RegExp][] = [
    ["is empty", () => new Uint8Array(), /empty file.*ERR_SAFETENSORS/],
    ["is truncated in its data", (bytes) => bytes.subarray(0, bytes.length - 10), /ERR_SAFETENSORS/],
    ["is truncated in its header", (bytes) => bytes.subarray(0, 40), /header.*larger than the file.*ERR_SAFETENSORS/],
    [
      "has a flipped bit in its header's length",
      (bytes) => {
        const flipped = bytes.slice();
        flipped[2]! ^= 0x40;
        return flipped;
      },
      /header.*ERR_(SAFETENSORS|FORMAT)/,
    ],
    [
      "has a flipped bit in its header",
      (bytes) => {
        const flipped = bytes.slice();
        flipped[9]! ^= 0x80;
        return flipped;
      },
      /ERR_(SAFETENSORS|FORMAT)/,
    ],
    [
      "says that two tensors overlap",
      (bytes) =>
        withHeader(bytes, (header) => {
          const entry = header["fc2.weight"]!;
          entry.data_offsets = [0, entry.data_offsets[1] - entry.data_offsets[0]];
        }),
      /overlap|ERR_SAFETENSORS/,
    ],
    [
      "says that a tensor lies outside the file",
      (bytes) =>
        withHeader(bytes, (header) => {
          const entry = header["fc2.weight"]!;
          entry.data_offsets = [1e6, 1e6 + entry.data_offsets[1] - entry.data_offsets[0]];
        }),
      /fc2\.weight.*ERR_SAFETENSORS/,
    ],
    [
      "has an unknown dtype",
      (bytes) =>
        withHeader(bytes, (header) => {
          header["fc1.weight"]!.dtype = "F7";
        }),
      /'F7'.*supported: .*F32.*ERR_DTYPE/,
    ],
    ["is of another format", () => new TextEncoder().encode("<html>not found</html>"), /web page.*ERR_FORMAT/],
  ];
  for (const [what, damage, message] of damages) {
    test(what, async () => {
      const task = await smallTask();
      await writeFile(task.model, damage(new Uint8Array(await readFile(task.model))));
      const stderr = await refused(evalArgs(task));
      expect(stderr).toMatch(message);
      expect(stderr).toContain("net.safetensors");
    });
  }

  test("is missing", async () => {
    const task = await smallTask();
    await rm(task.model);
    expect(await refused(evalArgs(task))).toMatch(/net\.safetensors: there is no such file.*ERR_FILE_NOT_FOUND/);
  });

  test("is a folder", async () => {
    const task = await smallTask();
    expect(await refused(["eval", task.folder, "--data", task.data])).toMatch(/folder.*ERR_NOT_A_FILE/);
  });

  test("has tensors of wrong shapes and names, each of which is named", async () => {
    const task = await smallTask();
    const [first] = smallTensors();
    const tensors: NamedTensor[] = [
      { ...first!, shape: [6, 5] },
      { name: "extra", dtype: "f32", shape: [1], data: new Float32Array(1) },
    ];
    await writeFile(task.model, encodeSafetensors({ tensors }));
    const stderr = await refused([...evalArgs(task), "--arch", smallArch]);
    expect(stderr).toMatch(
      /missing fc2\.weight.*extra.*fc1\.weight is \[6, 5\] instead of \[5, 6\].*ERR_WEIGHTS_MISMATCH/,
    );
  });

  test("fits no built-in network and says nothing of itself", async () => {
    const task = await smallTask();
    const filter = { name: "conv.weight", dtype: "f32", shape: [2, 1, 3, 3], data: new Float32Array(18) } as const;
    await writeFile(task.model, encodeSafetensors({ tensors: [...smallTensors(), filter] }));
    expect(await refused(evalArgs(task))).toMatch(/--arch: mlpnet.*net\.json.*ERR_ARCHITECTURE/);
  });

  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    test(`holds ${value}`, async () => {
      const task = await smallTask();
      const tensors = smallTensors();
      tensors[1]!.data[4] = value;
      await writeFile(task.model, encodeSafetensors({ tensors, metadata: { "secateur.architecture": smallArch } }));
      expect(await refused(halving(task))).toMatch(/fc2\.weight.*ERR_NOT_FINITE/);
    });
  }
});

describe("data that cannot be used", () => {
  const damages: readonly [string, string, () => Uint8Array, RegExp][] = [
    ["an empty .npy file", "X.npy", () => new Uint8Array(), /ERR_NPY/],
    [
      "a truncated .npy file",
      "X.npy",
      () => encodeNpy({ shape: [60, 6], data: new Float32Array(360) }).subarray(0, 500),
      /truncated.*ERR_NPY/,
    ],
    [
      "NaN among the inputs",
      "X.npy",
      () => encodeNpy({ shape: [60, 6], data: new Float32Array(360).fill(Number.NaN) }),
      /ERR_NOT_FINITE/,
    ],
    [
      "a label above the network's classes",
      "Y.npy",
      () => encodeNpy({ shape: [60], data: new Float32Array(60).fill(3) }),
      /label 3.*0\.\.2.*ERR_LABEL_RANGE/,
    ],
    [
      "a label below 0",
      "Y.npy",
      () => encodeNpy({ shape: [60], data: new Float32Array(60).fill(-1) }),
      /label -1.*ERR_LABEL_RANGE/,
    ],
    [
      "fewer labels than inputs",
      "Y.npy",
      () => encodeNpy({ shape: [59], data: new Float32Array(59) }),
      /60 examples and 59 labels.*ERR_SHAPE/,
    ],
    [
      "inputs of another size",
      "X.npy",
      () => encodeNpy({ shape: [60, 5], data: new Float32Array(300) }),
      /\[5\].*takes \[6\].*ERR_DATA_MISMATCH/,
    ],
  ];
  for (const [what, name, content, message] of damages) {
    test(what, async () => {
      const task = await smallTask();
      await writeFile(join(task.folder, name), content());
      expect(await refused(evalArgs(task))).toMatch(message);
    });
  }

  test("a name that no dataset has", async () => {
    const task = await smallTask();
    const stderr = await refused(["eval", task.model, "--data", "mnits"]);
    expect(stderr).toMatch(/'mnits'; known: mnist, .*npy:X\.npy,Y\.npy.*did you mean 'mnist'\?.*ERR_UNKNOWN_NAME/);
  });

  test("none at all", async () => {
    const { model } = await smallTask();
    for (const argv of [
      ["prune", model, "--solver", "cbs"],
      ["eval", model],
      ["train", model],
    ]) {
      expect(await refused(argv)).toMatch(/--data is missing.*ERR_USAGE/);
    }
  });

  test("a missing file", async () => {
    const task = await smallTask();
    await rm(join(task.folder, "Y.npy"));
    expect(await refused(evalArgs(task))).toMatch(/Y\.npy: there is no such file.*ERR_FILE_NOT_FOUND/);
  });

  test("images with channels last, for a network that takes them first", async () => {
    const { folder } = await smallTask();
    const pixels = { shape: [2, 32, 32, 3], data: new Float32Array(2 * 3072) };
    await writeFile(join(folder, "X.npy"), encodeNpy(pixels));
    await writeFile(join(folder, "Y.npy"), encodeNpy({ shape: [2], data: Float32Array.of(0, 1) }));
    const argv = ["train", "--arch", "resnet20", "--data", "npy:X.npy,Y.npy", "--out", "net.safetensors", "--quiet"];
    expect(await refused([...argv, "--force"], folder)).toMatch(
      /examples of shape \[32, 32, 3\], but network 'resnet20' takes \[3, 32, 32\] \(nchw\).*ERR_DATA_MISMATCH/,
    );
  });

  test("a normalisation that is none", async () => {
    const task = await smallTask();
    expect(await refused([...evalArgs(task), "--normalize", "0.5"])).toMatch(/mean,std.*ERR_NORMALIZE/);
    expect(await refused([...evalArgs(task), "--normalize", "0,0"])).toMatch(/std above 0.*ERR_NORMALIZE/);
  });
});
