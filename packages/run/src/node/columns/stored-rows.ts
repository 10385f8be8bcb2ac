/** The rows of a shard in a store: the files that hold its columns where they lie, or its columns alone as a file of their own. */
import { aborted } from "@secateur/core";
import { encodeNpyHeader } from "@secateur/formats";
import type { Hash, Store } from "@secateur/jobs";
import { type PanelRange, panelColumns } from "@secateur/solvers-chita";
import type { NpyColumns } from "./npy-columns.ts";

/** Files of the store whose columns side by side have those of a shard. */
export interface StoredRows {
  readonly rows: readonly Hash[];
  /** The column of all that the first file begins with. */
  readonly first: number;
}

/** A worker checks every byte of the files that it is given: beyond so many columns for each of its own, they are copied out instead. */
const mostChecked = 3;

/**
 * Gives a function that puts the rows of one shard after the other into a store. Files are linked, not copied, where the store's disk can and they hold little else;
 * all of them are hashed at a time.
 *
 * @param spec.ranges - of all shards
 * @throws ERR_ABORTED, what the store throws
 */
export function rowStorer(spec: {
  store: Store;
  source: NpyColumns;
  signal: AbortSignal;
  ranges: readonly PanelRange[];
}): (range: PanelRange) => Promise<StoredRows> {
  const { store, source, signal, ranges } = spec;
  const linked = new Map<string, Promise<Hash | undefined>>();
  const link = (path: string): Promise<Hash | undefined> => {
    if (!linked.has(path)) linked.set(path, store.linkFile(path, { signal }));
    const one = linked.get(path)!;
    one.catch(() => {}); // awaited where it is wanted
    return one;
  };
  for (const range of ranges) {
    const { files, mayLink } = filesOf(source, range);
    if (mayLink) for (const { path } of files) void link(path);
  }
  return async (range) => {
    const { files, mayLink, first, end } = filesOf(source, range);
    if (mayLink) {
      const rows: Hash[] = [];
      for (const { path } of files) {
        if (signal.aborted) throw aborted(signal.reason);
        const hash = await link(path);
        if (hash === undefined) break;
        rows.push(hash);
      }
      if (rows.length === files.length) return { rows, first: files[0]!.from };
    }
    return { rows: [await store.putPieces(columnsAsFile({ source, signal, first, end }))], first };
  };
}

/** Files that hold columns of a shard, and whether they hold little else. */
function filesOf({ files: all, size }: NpyColumns, { from, to }: PanelRange) {
  const [first, end] = [from * panelColumns, Math.min(to * panelColumns, size)];
  const files = all.filter((file) => file.from < end && file.from + file.cols > first);
  const cols = files.reduce((sum, file) => sum + file.cols, 0);
  return { files, first, end, mayLink: cols <= mostChecked * (end - first) };
}

/** Columns [first, end) as the pieces of an .npy file. */
async function* columnsAsFile(spec: {
  source: NpyColumns;
  signal: AbortSignal;
  first: number;
  end: number;
}): AsyncGenerator<Uint8Array> {
  const { source, signal, first, end } = spec;
  const row = new Float32Array(end - first);
  yield encodeNpyHeader({ shape: [source.rows, row.length], dtype: "f32" });
  for (let i = 0; i < source.rows; i++) {
    if (signal.aborted) throw aborted(signal.reason);
    source.readRow(i, first, row);
    yield new Uint8Array(row.buffer);
  }
}
