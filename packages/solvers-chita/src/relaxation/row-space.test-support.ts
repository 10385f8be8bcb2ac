import { type Mat, matrix, type Problem, referenceKernels } from "@secateur/core";
import { rowModel } from "./row-model.ts";
import {
  columnsGram,
  hasRowGram,
  type RowSpace,
  type RowSpaceModel,
  writeColumns,
  writeRegularised,
  writeSupportGram,
} from "./row-space.ts";

/** The row model of a problem over stored rows. */
export function storedModel(problem: Problem): RowSpaceModel {
  const model = rowModel(problem, referenceKernels);
  if (!hasRowGram(model)) throw new Error("the rows of this problem are not stored");
  return model;
}

/** A_S [n, columns.length]. */
export async function columnsIn(space: RowSpace, columns: Uint32Array): Promise<Mat> {
  const out = matrix(space.rows, columns.length, new Float64Array(space.rows * columns.length));
  await writeColumns(space, columns, out.data);
  return out;
}

/** I + A A' / lambda [n, n]. */
export async function fullGramOf(space: RowSpace): Promise<Mat> {
  const out = square(space.rows);
  const all = Uint32Array.from({ length: space.size }, (_, j) => j);
  const { gram } = await columnsGram(space, all, square(space.rows));
  writeRegularised(space, gram.data, out);
  return out;
}

/** I + A_S A_S' / lambda [n, n]. */
export async function supportGramOf(space: RowSpace, columns: Uint32Array): Promise<Mat> {
  const out = square(space.rows);
  await writeSupportGram(space, columns, { out });
  return out;
}

function square(n: number): Mat {
  return matrix(n, n, new Float64Array(n * n));
}
