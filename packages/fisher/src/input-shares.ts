/**
 * Shares of the examples over which sums are taken: whole passes of the model, so many that they do not depend on who takes them. Sums are made share by share and
 * added up in order, by one process or by many, to the same bytes.
 */
import type { InputChunk, Mat, Model } from "@secateur/core";

/** Examples below which a share's sums cost more to keep and send than to take: they are inputs^2 numbers a layer. */
const leastExamples = 256;
/** The most shares. */
const mostShares = 16;

/** Examples of a share; Infinity where a model does not tell its passes apart. */
export async function momentShare(
  {
    model,
    data,
  }: { readonly model: Pick<Model, "passExamples">; readonly data: Parameters<NonNullable<Model["passExamples"]>>[0] },
  examples: number,
): Promise<number> {
  const pass = await model.passExamples?.(data);
  if (pass === undefined) return Number.POSITIVE_INFINITY;
  return pass * Math.max(Math.ceil(leastExamples / pass), Math.ceil(Math.ceil(examples / pass) / mostShares));
}

/** Chunks in shares of so many examples. Each is read to its end before the next is asked for. */
export async function* chunksInShares(
  chunks: AsyncIterable<InputChunk>,
  size: number,
): AsyncGenerator<AsyncIterable<Mat>> {
  const all = chunks[Symbol.asyncIterator]();
  let ahead = await all.next();
  async function* share(): AsyncGenerator<Mat> {
    for (let isBegun = false; !ahead.done; ahead = await all.next()) {
      const { first } = ahead.value;
      if (isBegun && first !== undefined && first % size === 0) return;
      isBegun = true;
      yield ahead.value;
    }
  }
  try {
    while (!ahead.done) yield share();
  } finally {
    await all.return?.();
  }
}
