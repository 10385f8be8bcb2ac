/**
 * Rows spread over a stream of them, one of every of / most: the m-th is row floor((m + u_m) of / most) with u_m the fraction of m times the golden ratio, so that no
 * grid of positions in an image keeps step with it. The same rows come from streams of the same length.
 */
import { dtypeOf, type Mat, matrix, type Vec, zeros } from "@secateur/core";

const golden = (Math.sqrt(5) - 1) / 2;

/** Rows that are given on together. */
const together = 4096;

/**
 * Gives the rows on in chunks of some thousands, each valid until the next one is asked for.
 *
 * @param spec.of - rows that come
 * @param spec.most - rows to give on, at most half of them
 * @param spec.from - rows of the stream that came before these, of which some were given on elsewhere; default 0
 */
export async function* spreadRows(
  chunks: AsyncIterable<Mat>,
  { of, most, from = 0 }: { readonly of: number; readonly most: number; readonly from?: number },
): AsyncGenerator<Mat> {
  const place = (m: number): number => Math.floor(((m + ((m * golden) % 1)) * of) / most);
  let [seen, taken, filled, cols] = [from, Math.max(0, Math.floor((from * most) / of) - 1), 0, 0];
  while (place(taken) < from) taken++;
  let data: Vec | undefined;
  const given = (): Mat => matrix(filled, cols, data!.subarray(0, filled * cols));
  for await (const chunk of chunks) {
    cols = chunk.cols;
    data ??= zeros(Math.min(together, most) * cols, dtypeOf(chunk.data));
    for (let at = place(taken) - seen; at < chunk.rows; at = place(++taken) - seen) {
      if (filled * cols === data.length) {
        yield given();
        filled = 0;
      }
      data.set(chunk.data.subarray(at * cols, (at + 1) * cols), filled * cols);
      filled++;
    }
    seen += chunk.rows;
  }
  if (filled > 0) yield given();
}
