/** What goes with the rows of a weight: its bias, scale and shift of the normalisation behind it. */
import type { Mask, ParamInfo } from "@secateur/core";
import { rowMask } from "./row-masks.ts";

/** Names of parameters with a number a row of a weight. */
export interface RowVectors {
  /** What a normalisation multiplies the rows' outputs with, and what it adds; undefined where there is none behind the weight. */
  readonly scale: string | undefined;
  readonly shift: string | undefined;
  /** Those two, and biases. */
  readonly all: readonly string[];
}

/**
 * By the name of each prunable weight: the parameters between it and the next prunable one that have as many numbers as the weight has rows. Parameters must be
 * in the order of the layers.
 */
export function rowVectors(params: readonly ParamInfo[]): ReadonlyMap<string, RowVectors> {
  const found = new Map<string, RowVectors>();
  for (const [p, { name, rows, prunable }] of params.entries()) {
    if (!prunable) continue;
    const rest = params.slice(p + 1);
    const next = rest.findIndex((other) => other.prunable);
    const own = (next < 0 ? rest : rest.slice(0, next)).filter((other) => other.rows === rows && other.cols === 1);
    const at = own.findIndex(({ isScale }) => isScale);
    const shift = at < 0 ? undefined : own[at + 1];
    found.set(name, {
      scale: own[at]?.name,
      shift: shift?.isScale ? undefined : shift?.name,
      all: own.map((one) => one.name),
    });
  }
  return found;
}

/**
 * Masks of some rows of a weight and of what goes with them, within the masks so far. Without the second a row that is gone would go on giving a constant, which training
 * moves and which cannot be taken out of a network in front of a convolution with zeros around its input.
 */
export function masksOfRows(spec: {
  param: ParamInfo;
  kept: ReadonlySet<number>;
  vectors: RowVectors | undefined;
  masks: ReadonlyMap<string, Mask>;
}): readonly (readonly [string, Mask])[] {
  const { param, kept, vectors, masks } = spec;
  const own = (vectors?.all ?? []).map((name) => {
    return [name, rowMask({ param: { rows: param.rows, cols: 1 }, kept, mask: masks.get(name) })] as const;
  });
  return [[param.name, rowMask({ param, kept, mask: masks.get(param.name) })], ...own];
}
