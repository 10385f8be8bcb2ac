import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { openDataset } from "@secateur/datasets";
import { bytesOf } from "../bytes-of.ts";
import type { FuzzFormat } from "../fuzz-format.ts";
import { joined, oneOf } from "../mutate-bytes.ts";

/** An idx file of bytes. */
function idx(shape: readonly number[], data: Uint8Array, type: number = 8): Uint8Array {
  const head = new Uint8Array(4 + 4 * shape.length);
  head.set([0, 0, type, shape.length]);
  const view = new DataView(head.buffer);
  for (const [axis, extent] of shape.entries()) view.setUint32(4 + 4 * axis, extent);
  return joined(head, data);
}

const images = idx(
  [2, 3, 3],
  Uint8Array.from({ length: 18 }, (_, i) => i),
);
const labels = idx([2], Uint8Array.of(0, 1));

/** The training images of an MNIST folder, packed or not; the other three files are whole. */
export function idxFolder(): FuzzFormat {
  const folder = mkdtempSync(join(tmpdir(), "secateur-fuzz-"));
  writeFileSync(join(folder, "train-labels-idx1-ubyte"), labels);
  writeFileSync(join(folder, "t10k-labels-idx1-ubyte"), labels);
  writeFileSync(join(folder, "t10k-images-idx3-ubyte"), images);
  return {
    name: "idx",
    corpus: [images, new Uint8Array(gzipSync(images))],
    mutate: (rng) => {
      const extents = () => oneOf(rng, [0, 1, 2, 3, 255, 65_536, 2 ** 32 - 1]);
      const shape = Array.from({ length: oneOf(rng, [3, 3, 3, 1, 2, 200]) }, extents);
      const file = idx(shape, new Uint8Array(oneOf(rng, [0, 18, 1000])), oneOf(rng, [8, 8, 9, 13]));
      return rng.next() < 0.5 ? file : new Uint8Array(gzipSync(file));
    },
    async read(bytes) {
      writeFileSync(join(folder, "train-images-idx3-ubyte"), bytes);
      const { train } = await openDataset(`mnist:${folder}`);
      const batch = await train.batch(Uint32Array.of(0));
      return bytesOf(batch.inputs) + bytes.length;
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
