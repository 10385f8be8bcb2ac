import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRng, createRunContext, matrix, referenceKernels } from "@secateur/core";
import { encodeNpy } from "@secateur/formats";
import { expect, onTestFinished, test } from "vitest";
import type { Session } from "../../session.ts";
import { columnFiles, openNpyColumns } from "./npy-columns.ts";
import { solveByColumns } from "./solve-by-columns.ts";

const signal = new AbortController().signal;
const session: Session = {
  ...{ kernels: referenceKernels, kernelChoice: "reference", seed: 0, signal, onEvent: () => {} },
  context: () => createRunContext({ seed: 0, kernels: referenceKernels, signal }),
};

/** Three panels of columns: in one file, and in a folder of two, cut within a panel. */
async function written() {
  const folder = await mkdtemp(join(tmpdir(), "secateur-columns-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [n, p, cut] = [4, 33_000, 17_001];
  const rng = createRng(3);
  const rows = matrix(
    n,
    p,
    Float32Array.from({ length: n * p }, () => rng.normal()),
  );
  const part = (from: number, to: number): Float32Array =>
    Float32Array.from({ length: n * (to - from) }, (_, at) => {
      const [i, j] = [Math.floor(at / (to - from)), at % (to - from)];
      return rows.data[i * p + from + j]!;
    });
  const [whole, parts, weights] = [join(folder, "G.npy"), join(folder, "rows"), join(folder, "w.npy")];
  await writeFile(whole, encodeNpy({ shape: [n, p], data: rows.data }));
  await mkdir(parts);
  await writeFile(join(parts, "a.npy"), encodeNpy({ shape: [n, cut], data: part(0, cut) }));
  const doubles = Float64Array.from(part(cut, p));
  await writeFile(join(parts, "b.npy"), encodeNpy({ shape: [n, p - cut], data: doubles }));
  await writeFile(weights, encodeNpy({ shape: [p], data: Float32Array.from({ length: p }, () => rng.normal()) }));
  return { folder, rows, whole, parts, weights };
}

test("columns are read from one file, or from several side by side whatever their numbers are", async () => {
  const { rows, whole, parts } = await written();
  for (const path of [whole, parts]) {
    const source = await openNpyColumns(await columnFiles(path));
    onTestFinished(() => source.close());
    expect([source.rows, source.size]).toEqual([4, 33_000]);
    const out = matrix(4, 9, new Float32Array(36));
    await source.read(16_997, out);
    for (let i = 0; i < 4; i++) {
      const from = i * 33_000 + 16_997;
      expect(out.data.subarray(9 * i, 9 * i + 9)).toEqual(rows.data.subarray(from, from + 9));
    }
  }
});

test("any number of shards, and rows that do not stay in memory, give the same bytes", async () => {
  const { folder, whole, parts, weights } = await written();
  const solved = async (gradients: string, shards: number, memoryBytes?: number) => {
    const out = join(folder, "out.npy");
    const {
      solveMs: _ms,
      places: _places,
      out: _out,
      ...document
    } = await solveByColumns({
      ...{
        gradients,
        weights,
        settings: { sparsity: 0.9, firstOrder: true },
        options: { pool: 8 },
        out,
        overwrite: true,
      },
      ...{ session, columns: { shards, work: {}, memoryBytes, cwd: folder } },
    });
    return { document, bytes: await readFile(out) };
  };
  const one = await solved(whole, 1);
  expect(one.document).toMatchObject({ method: "columns", nonzeros: 3300 });
  expect(await solved(parts, 3, 300_000)).toEqual(one);
});

test("rows that cannot be read by columns are refused by name", async () => {
  const { folder, parts } = await written();
  const refused = async (name: string, file: Uint8Array): Promise<unknown> => {
    const path = join(folder, name);
    await writeFile(path, file);
    return await openNpyColumns([join(parts, "a.npy"), path]).catch((error) => error);
  };
  const other = encodeNpy({ shape: [5, 2], data: new Float32Array(10) });
  expect(await refused("rows.npy", other)).toMatchObject({
    code: "ERR_SHAPE",
    message: expect.stringContaining("rows.npy"),
  });
  const short = encodeNpy({ shape: [4, 2], data: new Float32Array(8) });
  expect(await refused("short.npy", short.subarray(0, -4))).toMatchObject({ code: "ERR_NPY" });
  const turned = Buffer.from(short).toString("latin1").replace("'fortran_order': False", "'fortran_order': True ");
  expect(await refused("turned.npy", Buffer.from(turned, "latin1"))).toMatchObject({ code: "ERR_DTYPE" });
  await expect(columnFiles(join(folder, "empty"))).resolves.toEqual([join(folder, "empty")]);
});
