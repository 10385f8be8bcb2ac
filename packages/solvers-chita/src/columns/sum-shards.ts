/** What shards of the columns find together: sums in the order of the columns, and the k largest |V|. All of it is the same however the columns are cut. */
import type { ColumnShard, Nodes } from "./column-shard.ts";
import { TreeSum } from "./tree-sum.ts";

/** The shards of all columns, from the left to the right. */
export type Shards = readonly ColumnShard[];

/** Asks all shards at once. @returns the answers in the order of the shards */
export async function askAll<T>(shards: Shards, ask: (shard: ColumnShard, index: number) => Promise<T>): Promise<T[]> {
  return await Promise.all(shards.map(ask));
}

/** The sum over all columns. */
export async function sumShards(shards: Shards, ask: (shard: ColumnShard) => Promise<Nodes>): Promise<Float64Array> {
  const tree = new TreeSum();
  for (const node of (await askAll(shards, ask)).flat()) tree.add(node);
  return tree.total()!;
}

/** Which places have the k largest |V|: those whose f32 bits are above `bits`, and as many as `ties` says, a shard each, of those that have them. */
export interface LargestPlaces {
  readonly bits: number;
  readonly ties: readonly number[];
}

/** Finds them by counts of ever lower bits, which order |V| as it is ordered. Ties go to the lower column. */
export async function largestPlaces(shards: Shards, k: number): Promise<LargestPlaces> {
  let [bits, left] = [0, k];
  let counts: readonly Uint32Array[] = [];
  for (const [round, shift] of [20, 10, 0].entries()) {
    const within = round === 0 ? {} : { within: bits };
    counts = await askAll(shards, (shard) => shard.histogram({ shift, ...within }));
    const { bin, above } = binOf(counts, left);
    bits = (round === 0 ? 0 : bits << 10) | bin;
    left -= above;
  }
  const ties = counts.map((own) => {
    const taken = Math.min(left, own[bits & 1023]!);
    left -= taken;
    return taken;
  });
  return { bits, ties };
}

/** The |V| with these bits. */
export function numberOf(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0]!;
}

/** The bin that the k-th from above lies in, and how many lie above it. */
function binOf(counts: readonly Uint32Array[], k: number): { bin: number; above: number } {
  let above = 0;
  for (let bin = counts[0]!.length - 1; bin > 0; bin--) {
    const here = counts.reduce((sum, own) => sum + own[bin]!, 0);
    if (above + here >= k) return { bin, above };
    above += here;
  }
  return { bin: 0, above };
}
