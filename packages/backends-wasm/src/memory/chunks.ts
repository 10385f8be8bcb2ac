/** How the images of a segment are cut for sums over them: by shapes only, so that bytes do not depend on threads. */

/** Images of one partial sum, and partial sums a segment. */
export interface Chunks {
  readonly images: number;
  readonly count: number;
}

/** Chunks of about `work` positions or tiles, of which an image has `each`; at most 32 images, so that small ones are shared, too. */
export function chunksOf({ group, each, work }: { group: number; each: number; work: number }): Chunks {
  const images = Math.min(group, 32, Math.max(1, Math.round(work / Math.max(1, each))));
  return { images, count: Math.ceil(group / images) };
}
