/**
 * Values of 32 examples side by side, [panels, height, width, channels, 32]: what is a row of features elsewhere. To every layer that
 * works channel by channel these are images of 32 times the channels, one image a panel.
 */
import { type Mat, panelWidth } from "@secateur/core";
import { take } from "../ops/op.ts";
import type { Pool } from "../pool.ts";

/** Rows of examples [batch, features] as panels, in a vector of the pool; `batch` is a multiple of 32. */
export function toPanels({ rows, cols, data }: Mat, pool: Pool): Mat {
  const out = take(pool, rows / panelWidth, cols * panelWidth);
  pool.kernels.transposeBlocks(data, { count: out.rows, rows: panelWidth, cols }, out.data);
  return out;
}

/** Panels as rows of examples [batch, features], in a vector of the pool. */
export function toRows({ rows, cols, data }: Mat, pool: Pool): Mat {
  const features = cols / panelWidth;
  const out = take(pool, rows * panelWidth, features);
  pool.kernels.transposeBlocks(data, { count: rows, rows: features, cols: panelWidth }, out.data);
  return out;
}
