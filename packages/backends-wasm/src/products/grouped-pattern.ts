import type { SparsePattern } from "@secateur/core";

/** The entries of a sparse matrix in the order in which kernels meet them: by block of rows, there by column, there by row. */
export interface GroupedPattern {
  /** Where the entries of each block and column begin [blocks * cols + 1], all columns of a block one after the other. */
  readonly starts: Uint32Array;
  /** The row of each entry. */
  readonly lines: Uint32Array;
  /** The place of each in the pattern's own order. */
  readonly places: Uint32Array;
}

/** Rows whose lines of 32 numbers in f32 fill half of a first cache of 32 KiB. */
const blockRows = 128;

/** Conjugate gradients take dozens of products with one pattern. */
const known = new WeakMap<SparsePattern, GroupedPattern>();

/** The entries of a pattern in this order, sorted once for as long as the pattern lives. O(entries + blocks * columns) the first time. */
export function groupedPattern(pattern: SparsePattern): GroupedPattern {
  const before = known.get(pattern);
  if (before) return before;
  const grouped = sortEntries(pattern);
  known.set(pattern, grouped);
  return grouped;
}

/** Sorts by counting. */
function sortEntries({ rows, cols, starts, columns }: SparsePattern): GroupedPattern {
  const blocks = Math.ceil(rows / blockRows);
  const groupStarts = new Uint32Array(blocks * cols + 1);
  const eachEntry = (visit: (group: number, row: number, entry: number) => void): void => {
    for (let row = 0; row < rows; row++) {
      const first = Math.floor(row / blockRows) * cols;
      for (let e = starts[row]!; e < starts[row + 1]!; e++) visit(first + columns[e]!, row, e);
    }
  };
  eachEntry((group) => groupStarts[group + 1]!++);
  for (let g = 1; g < groupStarts.length; g++) groupStarts[g]! += groupStarts[g - 1]!;
  const next = groupStarts.slice();
  const [lines, places] = [new Uint32Array(columns.length), new Uint32Array(columns.length)];
  eachEntry((group, row, entry) => {
    const at = next[group]!++;
    lines[at] = row;
    places[at] = entry;
  });
  return { starts: groupStarts, lines, places };
}
