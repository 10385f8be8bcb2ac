/** Gradient rows as bytes, and shares of them put together. */
import {
  dtypeOf,
  type GradientBlock,
  type GradientRows,
  type Kernels,
  type LossSum,
  type Mat,
  matrix,
  type Vec,
} from "@secateur/core";
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "@secateur/formats";

/** A block without its numbers, which stand under these names: blocks of one layer have factors in common. */
type Described =
  | { readonly kind: "dense"; readonly param: string; readonly rows: string }
  | {
      readonly kind: "factored";
      readonly param: string;
      readonly group: number;
      readonly delta: string;
      readonly input: string;
    };

/** The blocks of some rows. */
export function encodeRows({ blocks }: Pick<GradientRows, "blocks">): Uint8Array {
  const names = new Map<Vec, string>();
  const tensors: NamedTensor[] = [];
  const nameOf = ({ rows, cols, data }: Mat): string => {
    const known = names.get(data);
    if (known !== undefined) return known;
    const [name, shape] = [`${names.size}`, [rows, cols]];
    names.set(data, name);
    tensors.push(
      data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data },
    );
    return name;
  };
  const described = blocks.map((block): Described => {
    if (block.kind === "dense") return { ...block, rows: nameOf(block.rows) };
    return { ...block, delta: nameOf(block.delta), input: nameOf(block.input) };
  });
  return encodeSafetensors({ tensors, metadata: { blocks: JSON.stringify(described) } });
}

/** They again, views of the bytes. @throws ERR_SAFETENSORS */
export function decodeRows(bytes: Uint8Array): readonly GradientBlock[] {
  const { tensors, metadata } = decodeSafetensors(bytes, "gradient rows");
  const named = new Map(
    tensors.map(({ name, shape, data }) => [name, matrix(shape[0]!, shape[1]!, data as Vec)] as const),
  );
  return (JSON.parse(metadata?.["blocks"] ?? "[]") as readonly Described[]).map((block): GradientBlock => {
    if (block.kind === "dense") return { ...block, rows: named.get(block.rows)! };
    return { ...block, delta: named.get(block.delta)!, input: named.get(block.input)! };
  });
}

/** One share of rows. */
export interface RowShare {
  readonly blocks: readonly GradientBlock[];
  readonly sums: readonly LossSum[];
}

/**
 * Rows of shares one below the other, in kernel memory, and the loss as one process adds it up.
 *
 * @param spec.rows - of all shares
 * @param spec.shares - in order; each is let go of before the next is asked for
 */
export async function joinRows(
  spec: { readonly rows: number; readonly rowsOf: (share: number) => number; readonly shares: AsyncIterable<RowShare> },
  kernels: Kernels,
): Promise<GradientRows> {
  const { rows, rowsOf, shares } = spec;
  const whole = new Map<string, Mat>();
  const sums: LossSum[] = [];
  let blocks: readonly GradientBlock[] = [];
  let [share, before] = [0, 0];
  try {
    for await (const part of shares) {
      const own = rowsOf(share);
      const names = new Map<Vec, string>();
      const place = ({ rows: height, cols, data }: Mat): Mat => {
        const name = names.get(data) ?? `${names.size}`;
        const isNew = !names.has(data);
        names.set(data, name);
        // Factors have as many rows for each.
        const tall = (height / own) * rows;
        const all = whole.get(name) ?? matrix(tall, cols, kernels.alloc(tall * cols, dtypeOf(data)));
        whole.set(name, all);
        if (isNew) all.data.set(data, (height / own) * before * cols);
        return all;
      };
      blocks = part.blocks.map((block): GradientBlock => {
        if (block.kind === "dense") return { ...block, rows: place(block.rows) };
        return { ...block, delta: place(block.delta), input: place(block.input) };
      });
      sums.push(...part.sums);
      before += own;
      share += 1;
    }
  } catch (error) {
    for (const { data } of whole.values()) kernels.free(data);
    throw error;
  }
  const total = sums.reduce((at, { sum, count }) => ({ sum: at.sum + sum, count: at.count + count }), {
    sum: 0,
    count: 0,
  });
  return { rows, blocks, loss: total.sum / total.count, sums };
}
