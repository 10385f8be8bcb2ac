/** Four numbers, the last of the innermost index. */
export type Four = readonly [number, number, number, number];

/** Walks over several arrays at once, written with as few indices as do. */
export interface MergedIndices {
  readonly extents: Four;
  /** For each array its distances. */
  readonly steps: readonly Four[];
}

/**
 * Neighbouring indices become one where every array has them one behind the other; extents of one are left out. What kernels walk by has four.
 *
 * @param steps - for each array its distance from index to index, as many as extents
 * @returns undefined where more than four are left
 */
export function mergeIndices(
  extents: readonly number[],
  steps: readonly (readonly number[])[],
): MergedIndices | undefined {
  const left: { extent: number; steps: number[] }[] = [];
  extents.forEach((extent, i) => {
    if (extent === 1) return;
    const own = steps.map((list) => list[i]!);
    const before = left[left.length - 1];
    if (before?.steps.every((step, a) => step === own[a]! * extent)) {
      before.extent *= extent;
      before.steps = own;
      return;
    }
    left.push({ extent, steps: own });
  });
  if (left.length > 4) return undefined;
  const padded = (list: readonly number[], blank: number): Four =>
    [...Array<number>(4 - list.length).fill(blank), ...list] as unknown as Four;
  return {
    extents: padded(
      left.map(({ extent }) => extent),
      1,
    ),
    // Along an index that is left out nothing moves; innermost, where kernels look for a distance of one, that is as good as any.
    steps: steps.map((_, a) =>
      padded(
        left.map((index) => index.steps[a]!),
        0,
      ),
    ),
  };
}
