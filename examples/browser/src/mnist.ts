/** MNIST as the page's server has it: gzipped idx files, unpacked by the browser, normalised as PyTorch's examples do. */
import { arrayDataset, type Dataset, matrix } from "@secateur/core";

const [mean, std] = [0.1307, 0.3081].map(Math.fround) as [number, number];

/** Fetches one split from the folder at an address. @throws Error naming the file that is missing or is no idx file */
export async function fetchMnist(folder: string, split: "train" | "t10k"): Promise<Dataset> {
  const [images, labels] = await Promise.all([
    fetchIdx(`${folder}${split}-images.idx.gz`, 16),
    fetchIdx(`${folder}${split}-labels.idx.gz`, 8),
  ]);
  const data = new Float32Array(images.length);
  // 256 values are possible, so normalising is a look-up; in f32 steps, as @secateur/datasets does it.
  const normalised = Float32Array.from(
    { length: 256 },
    (_, pixel) => Math.fround(Math.fround(pixel / 255) - mean) / std,
  );
  for (let i = 0; i < data.length; i++) data[i] = normalised[images[i]!]!;
  const inputs = matrix(labels.length, 784, data);
  return arrayDataset({ inputs, labels, classes: 10, inputShape: [1, 28, 28], name: `mnist ${split}` });
}

async function fetchIdx(path: string, header: number): Promise<Uint8Array> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: the server answered ${response.status}`);
  const bytes = await unpacked(await response.arrayBuffer());
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 8) throw new Error(`${path}: not an idx file of bytes`);
  return bytes.subarray(header);
}

/** Some servers declare .gz files as a packed transfer, which fetch unpacks itself; others hand them out as they are. */
async function unpacked(data: ArrayBuffer): Promise<Uint8Array> {
  const bytes = new Uint8Array(data);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
