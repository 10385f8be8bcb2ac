/**
 * Milliseconds from the bytes of a packed network of a million weights to a planned one: the least of seven new processes, and the least of twelve
 * loads in one process that has loaded it before. Four convolutions of 3 x 3 with random weights and masks.
 *
 *   node_modules/.bin/node apps/cli/bench/load-times.ts
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { load } from "@secateur/runtime";
import { printTable } from "./print.ts";

const widths = [3, 64, 128, 256, 256] as const;
const settings = [
  { sparsity: 0.9, values: "int8" },
  { sparsity: 0.8, values: "int8" },
  { sparsity: 0.9, values: "f32" },
] as const;

const [file, count = "1"] = process.argv.slice(2);
if (file === undefined) await compare();
else process.stdout.write(`${await leastMs(file, Number(count))}\n`);

/** The least of some loads, the first among them. */
async function leastMs(path: string, loads: number): Promise<number> {
  const bytes = readFileSync(path);
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < loads; i++) {
    const before = performance.now();
    const session = await load(bytes);
    least = Math.min(least, performance.now() - before);
    await session.close();
  }
  return least;
}

/** Packs the networks, and loads each in processes of their own. */
async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secateur-bench-"));
  const loaded = (path: string, loads: number): number =>
    Number(execFileSync(process.execPath, [fileURLToPath(import.meta.url), path, String(loads)], { encoding: "utf8" }));
  try {
    const rows: string[][] = [];
    for (const setting of settings) {
      const path = join(folder, "net.secateur");
      writeFileSync(path, await packedNetwork(setting));
      const first = Math.min(...Array.from({ length: 7 }, () => loaded(path, 1)));
      rows.push([`${100 * setting.sparsity} %, ${setting.values}`, first.toFixed(1), loaded(path, 12).toFixed(1)]);
    }
    printTable(["a million weights", "first, ms", "later, ms"], rows);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function packedNetwork({ sparsity, values }: (typeof settings)[number]): Promise<Uint8Array> {
  const { createRng } = await import("@secateur/core");
  const { packGraph } = await import("@secateur/runtime/pack");
  const rng = createRng(`loads ${sparsity}`);
  const layers = widths.slice(1).map((out, i) => {
    const dims = [out, widths[i]!, 3, 3];
    const size = 9 * out * widths[i]!;
    const data = Float32Array.from({ length: size }, () => (rng.next() < sparsity ? 0 : rng.next() - 0.5));
    return { name: `conv${i}`, tensor: { dims, data } };
  });
  const side = 16;
  const attributes = { pads: [1, 1, 1, 1], activation: "Relu" };
  const { bytes } = await packGraph(
    {
      inputs: [{ name: "x", dims: [1, widths[0], side, side] }],
      outputs: [{ name: layers.at(-1)!.name, dims: [1, widths[4], side, side] }],
      operators: layers.map(({ name }, i) => ({
        ...{ op: "Conv", name, inputs: [layers[i - 1]?.name ?? "x"], tensors: [`${name}.weight`], output: name },
        attributes,
      })),
      tensors: new Map(layers.map(({ name, tensor }) => [`${name}.weight`, tensor])),
    },
    { values },
  );
  return bytes;
}
