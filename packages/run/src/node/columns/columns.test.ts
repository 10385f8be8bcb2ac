import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createRng, createRunContext, matrix, referenceKernels } from "@secateur/core";
import { decodeNpy, encodeNpy } from "@secateur/formats";
import { type Json, joinMeeting, openMeeting, openStore, type Store } from "@secateur/jobs";
import {
  type ColumnRows,
  type ColumnShard,
  chitaByColumns,
  columnShard,
  cutPanels,
  type PanelRange,
  panelColumns,
} from "@secateur/solvers-chita";
import { expect, onTestFinished, test } from "vitest";
import type { Session } from "../../session.ts";
import { jobHost } from "../jobs/job-host.ts";
import { solveTogether } from "./column-places.ts";
import { columnsKind, peakMethod } from "./columns-kind.ts";
import { columnFiles, openNpyColumns } from "./npy-columns.ts";
import { solveByColumns } from "./solve-by-columns.ts";
import { rowStorer } from "./stored-rows.ts";

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

test("a shard's rows go into the store by links where its files hold little else, and are copied out otherwise", async () => {
  const { folder, rows, whole, parts } = await written();
  const store = await openStore(join(folder, "store"));
  const stored = async (path: string, count: number) => {
    const source = await openNpyColumns(await columnFiles(path));
    onTestFinished(() => source.close());
    const ranges = cutPanels(33_000, count);
    return await Promise.all(ranges.map(rowStorer({ store, source, signal, ranges })));
  };
  // Columns 0 to 16,384 lie in the first file, all others in the second and at its border in the first.
  const names = await columnFiles(parts);
  const [a, b] = await Promise.all(names.map((path) => store.linkFile(path)));
  expect(await stored(parts, 2)).toEqual([
    { rows: [a], first: 0 },
    { rows: [a, b], first: 0 },
  ]);
  // The third panel has 232 columns of 15,999.
  const last = (await stored(parts, 3))[2]!;
  expect(last.first).toBe(2 * panelColumns);
  const copied = decodeNpy(await store.get(last.rows[0]!));
  expect(copied.shape).toEqual([4, 232]);
  for (let i = 0; i < 4; i++) {
    const from = i * 33_000 + last.first;
    expect(copied.data.subarray(232 * i, 232 * (i + 1))).toEqual(rows.data.subarray(from, from + 232));
  }
  expect((await stat(whole)).nlink).toBe(1);
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
  await mkdir(join(folder, "empty"));
  await expect(columnFiles(join(folder, "empty"))).rejects.toMatchObject({ code: "ERR_SHAPE" });
});

test("files of a folder stand side by side as their numbers do", async () => {
  const { folder, parts } = await written();
  const place = join(folder, "numbered");
  await mkdir(place);
  const names = ["rows-2.npy", "rows-10.npy", "rows-1.npy"];
  for (const name of names) await copyFile(join(parts, "a.npy"), join(place, name));
  expect((await columnFiles(place)).map((path) => basename(path))).toEqual(["rows-1.npy", "rows-2.npy", "rows-10.npy"]);
});

test("a member that is lost in the middle of a solve costs its time, and no bit", async () => {
  const { rows, weights: path } = await written();
  const weights = decodeNpy(await readFile(path)).data as Float32Array;
  const source: ColumnRows = {
    ...{ rows: rows.rows, size: rows.cols },
    read(from, out) {
      for (let i = 0; i < 4; i++) {
        const at = i * rows.cols + from;
        out.data.set(rows.data.subarray(at, at + out.cols), i * out.cols);
      }
    },
  };
  const ranges = cutPanels(rows.cols, 2);
  const solve = (shards: readonly ColumnShard[]) =>
    chitaByColumns(
      {
        shards,
        weights,
        keep: 900,
        rows: 4,
        scale: 0.25,
        damping: 0.1,
        firstOrder: false,
        kernels: referenceKernels,
        pool: 4,
      },
      session.context(),
    );
  const shardOf = (range: PanelRange) =>
    columnShard({ source, range, panel: panelColumns, residentBytes: 1e9, kernels: referenceKernels });
  const alone = await solve(ranges.map(shardOf));
  const meeting = await openMeeting({ host: "127.0.0.1" });
  onTestFinished(() => meeting.close());
  let calls = 0;
  const lost = new AbortController();
  const join = (index: number, stop: AbortSignal): Promise<void> => {
    const shard = shardOf(ranges[index]!);
    const answer = async (_name: string, method: string, argument: unknown): Promise<unknown> => {
      if (method === peakMethod) return 1;
      if (index === 1 && ++calls === 9) lost.abort();
      return await (shard[method as keyof ColumnShard] as (one: unknown) => Promise<unknown>)(argument);
    };
    return joinMeeting({
      place: meeting.place,
      names: [String(index + 1)],
      where: `member ${index + 1}`,
      answer,
      signal: stop,
    });
  };
  const notes: string[] = [];
  const listening: Session = { ...session, onEvent: (event) => event.type === "note" && notes.push(event.code) };
  const solving = solveTogether({ session: listening, signal, meeting, names: ["1", "2"], isQueued: true, solve });
  const stays = join(0, signal);
  await expect(join(1, lost.signal)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  const another = join(1, signal);
  expect((await solving).solved).toEqual(alone);
  expect(notes).toEqual(["columns-lost"]);
  await meeting.close();
  await Promise.all([stays, another]);
});

test("a worker of a queue reads no file that a job names, and no run of panels that is none", async () => {
  const place = { host: "127.0.0.1", port: 1, key: "0".repeat(64) };
  const good = { seed: 0, kernels: "reference", place, name: "1", from: 0, to: 2 } as const;
  const run = (settings: object, inputs: Record<string, string> = {}): Promise<unknown> =>
    columnsKind(jobHost({ cwd: "." }), { readsPaths: false })(
      { kind: "columns", settings: settings as Json, inputs, after: [], packages: {} },
      { store: {} as Store, signal, onEvent: () => {} },
    );
  const refused = { code: "ERR_JOB" };
  await expect(run({ ...good, paths: ["/etc/passwd"] })).rejects.toMatchObject(refused);
  await expect(run({ ...good, paths: ["/etc/passwd"] }, { rows: "0".repeat(64) })).rejects.toMatchObject(refused);
  for (const bad of [
    { from: 2 },
    { to: 1.5 },
    { place: { ...place, port: 70_000 } },
    { place: undefined },
    { residentBytes: -1 },
    { first: 1 },
  ]) {
    await expect(run({ ...good, ...bad }, { rows: "0".repeat(64) })).rejects.toMatchObject(refused);
  }
});
