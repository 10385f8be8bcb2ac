/** Gradient rows by columns from .npy files that stay on the disk: one file [n, p], or a folder of files whose columns side by side make one. */
import { closeSync, openSync, readSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isPruneError, shapeMismatch } from "@secateur/core";
import { readNpyHeader } from "@secateur/formats";
import type { ColumnRows } from "@secateur/solvers-chita";
import { fileShrank, rowsNotByColumns, rowsNotRead } from "../../errors.ts";

/** Where columns [from, from + cols) lie. */
interface ColumnFile {
  readonly path: string;
  readonly from: number;
  readonly cols: number;
  readonly dataStart: number;
  readonly width: 4 | 8;
}

/** Rows that are read by columns; `close` gives the files back. */
export interface NpyColumns extends ColumnRows {
  readonly dtype: "f32" | "f64";
  /** Which columns lie in which file, from the left to the right. */
  readonly files: readonly Pick<ColumnFile, "path" | "from" | "cols">[];
  /** Writes columns [from, from + out.length) of row i into out. */
  readRow(i: number, from: number, out: Float32Array): void;
  close(): void;
}

/** Files that are open at a time. */
const mostOpen = 64;

/** The files that rows are in: the file itself, or all .npy files of a folder by name, numbers in names as numbers. @throws ERR_SHAPE for a folder without any */
export async function columnFiles(path: string): Promise<readonly string[]> {
  if (!(await stat(path).catch(() => undefined))?.isDirectory()) return [path];
  const all = await readdir(path).catch((error) => {
    throw rowsNotRead(path, error);
  });
  const { compare } = new Intl.Collator("en", { numeric: true });
  const names = all.filter((name) => name.endsWith(".npy")).sort((a, b) => compare(a, b) || (a < b ? -1 : 1));
  if (names.length === 0) {
    const expected = "the columns of the gradient rows in one or more";
    throw shapeMismatch({ where: path, found: "no .npy file", expected });
  }
  return names.map((name) => join(path, name));
}

/**
 * Opens them. f64 is rounded to f32 as it is read.
 *
 * @throws the errors of .npy files; ERR_SHAPE; ERR_DTYPE for other numbers or another order than f32 and f64 row by row in this machine's order of bytes
 */
export async function openNpyColumns(paths: readonly string[]): Promise<NpyColumns> {
  const files: ColumnFile[] = [];
  let [rows, size] = [0, 0];
  for (const path of paths) {
    const { dtype, littleEndian, fortranOrder, shape, dataStart } = await readNpyHeader(path);
    const [n = 0, cols = 0] = shape;
    if (shape.length !== 2 || n === 0 || cols === 0 || (rows > 0 && n !== rows)) {
      const expected = rows > 0 ? `[${rows}, columns]: as many rows as in ${paths[0]}` : "[n, columns]";
      throw shapeMismatch({ where: path, found: `shape [${shape.join(", ")}]`, expected });
    }
    if ((dtype !== "f32" && dtype !== "f64") || !littleEndian || (fortranOrder && n > 1)) {
      const order = `${littleEndian ? "" : ", big-endian"}${fortranOrder ? ", Fortran order" : ""}`;
      throw rowsNotByColumns(path, `${dtype}${order}`);
    }
    files.push({ path, from: size, cols, dataStart, width: dtype === "f64" ? 8 : 4 });
    [rows, size] = [n, size + cols];
  }
  const open = new Map<string, number>();
  const close = (): void => {
    for (const handle of open.values()) closeSync(handle);
    open.clear();
  };
  const handleOf = (path: string): number => {
    const known = open.get(path);
    if (known !== undefined) return known;
    if (open.size >= mostOpen) close();
    const handle = openSync(path, "r");
    open.set(path, handle);
    return handle;
  };
  const readRow = (i: number, from: number, out: Float32Array): void => {
    for (const file of files) {
      const first = Math.max(from, file.from);
      const last = Math.min(from + out.length, file.from + file.cols);
      if (first >= last) continue;
      const target = out.subarray(first - from, last - from);
      const doubles = file.width === 8 ? new Float64Array(last - first) : undefined;
      const { buffer, byteOffset, byteLength } = doubles ?? target;
      const position = file.dataStart + file.width * (i * file.cols + first - file.from);
      try {
        const read = readSync(
          handleOf(file.path),
          new Uint8Array(buffer, byteOffset, byteLength),
          0,
          byteLength,
          position,
        );
        if (read !== byteLength) throw fileShrank(file.path);
      } catch (error) {
        throw isPruneError(error) ? error : rowsNotRead(file.path, error);
      }
      if (doubles) target.set(doubles);
    }
  };
  return {
    ...{ rows, size, files, dtype: files.some(({ width }) => width === 8) ? "f64" : "f32", readRow, close },
    read(from, { cols, data }) {
      // A matrix of f32 is all that shards ask for.
      const out = data as Float32Array;
      for (let i = 0; i < rows; i++) readRow(i, from, out.subarray(i * cols, (i + 1) * cols));
    },
  };
}
