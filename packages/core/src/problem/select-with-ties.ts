/**
 * The mask of the greatest scores where some of them are equal. The lower index, to which constraints give ties, would keep the first
 * layer and empty the last: where equal scores are both kept and pruned, larger magnitudes go first and equal ones are spread evenly
 * over layers and within them.
 */
import { notFinite } from "../errors.ts";
import type { Mask, Vec } from "./matrix.ts";
import type { Note } from "./note.ts";
import type { Problem } from "./problem.ts";

/** Above this share of the units in ties, the criterion counts as one that does not tell them apart. */
const telling = 0.5;

/**
 * Selects, and breaks ties. O(units), and a sort of the tied ones where there are some.
 *
 * @param problem - w, units, constraint and, where known, layers
 * @param scores - [units.count]; higher = more important; -Infinity: never before another; NaN is refused
 * @returns the mask, and a note where most units have one score
 * @throws ERR_NOT_FINITE
 */
export function selectWithTies(
  problem: Pick<Problem, "w" | "units" | "constraint" | "layers">,
  scores: Vec,
): { mask: Mask; note?: Note } {
  const { units, constraint, w } = problem;
  const bad = scores.findIndex(Number.isNaN);
  if (bad >= 0) {
    const count = Array.from(scores).filter(Number.isNaN).length;
    const remedy = "a criterion must give every weight a number; use another one, and tell whoever maintains it";
    throw notFinite({ where: "scores", index: bad, value: scores[bad]!, count, remedy });
  }
  const mask = constraint.select(scores);
  const tied = tiedUnits(scores, mask, problem.layers ?? []);
  if (tied.length === 0) return { mask };
  const size = units.reduce(w.data.map(Math.abs));
  const order = spreadOrder({ tied, size, layers: problem.layers ?? [] });
  const broken = constraint.select(withoutTies(scores, tied, order));
  // It makes no difference which weights of 0 are kept.
  if (tied.length < telling * units.count || tied.every((u) => size[u] === 0)) return { mask: broken };
  const by = tied.every((u) => size[u] === size[tied[0]!]) ? "place" : "magnitude";
  return { mask: broken, note: tiedNote({ tied: tied.length, count: units.count, by }) };
}

function tiedNote({ tied, count, by }: { tied: number; count: number; by: "magnitude" | "place" }): Note {
  const how =
    by === "magnitude"
      ? "the larger magnitudes among them are kept"
      : "they are equal in magnitude too, so what is kept is spread evenly over the layers";
  return {
    code: "scores-tied",
    level: "warn",
    message: `the criterion gives ${tied} of ${count} weights one and the same score, so it does not tell them apart: ${how}`,
  };
}

/** Units whose score is the lowest kept one, in a layer where such a score is pruned too; ascending. */
function tiedUnits(scores: Vec, mask: Mask, layers: readonly { start: number; size: number }[]): Uint32Array {
  const whole = [{ start: 0, size: scores.length }];
  // Units that are no weights have places of their own.
  const last = layers[layers.length - 1];
  const ranges = last && last.start + last.size === scores.length ? [...whole, ...layers] : whole;
  const isTied = new Uint8Array(scores.length);
  for (const { start, size } of ranges) {
    let [lowestKept, highestPruned] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let u = start; u < start + size; u++) {
      const score = scores[u]!;
      if (mask[u] === 1 && score < lowestKept) lowestKept = score;
      if (mask[u] === 0 && score > highestPruned) highestPruned = score;
    }
    if (lowestKept !== highestPruned) continue;
    for (let u = start; u < start + size; u++) if (scores[u] === lowestKept) isTied[u] = 1;
  }
  return Uint32Array.from({ length: scores.length }, (_, u) => u).filter((u) => isTied[u] === 1);
}

/** The tied units, most worth keeping first: by magnitude, then so that every layer keeps the same share of its tied ones. */
function spreadOrder(spec: {
  tied: Uint32Array;
  size: Vec;
  layers: readonly { start: number; size: number }[];
}): Uint32Array {
  const { tied, size, layers } = spec;
  const place = new Float64Array(tied.length);
  const ends = layers.map(({ start, size: length }) => start + length);
  let [layer, first] = [0, 0];
  for (let t = 0; t <= tied.length; t++) {
    const isEnd = t === tied.length || (layer < ends.length && tied[t]! >= ends[layer]!);
    if (!isEnd) continue;
    spreadWithin(place, first, t);
    first = t;
    while (t < tied.length && layer < ends.length && tied[t]! >= ends[layer]!) layer++;
  }
  const order = Uint32Array.from({ length: tied.length }, (_, t) => t);
  return order.sort((a, b) => size[tied[b]!]! - size[tied[a]!]! || place[a]! - place[b]! || a - b);
}

/** A golden-section sequence over [first, end): any share of it that is kept is spread evenly over rows and columns. */
function spreadWithin(place: Float64Array, first: number, end: number): void {
  const golden = (Math.sqrt(5) - 1) / 2;
  const count = end - first;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const key = Float64Array.from(order, (i) => ((i + 1) * golden) % 1);
  order.sort((a, b) => key[a]! - key[b]!);
  order.forEach((i, rank) => {
    place[first + i] = (rank + 0.5) / count;
  });
}

/** Scores in f64 that differ where they were equal, and are ordered as before everywhere else. */
function withoutTies(scores: Vec, tied: Uint32Array, order: Uint32Array): Float64Array {
  const out = Float64Array.from(scores);
  const above = new Map<number, number>();
  for (const u of tied) above.set(scores[u]!, Number.POSITIVE_INFINITY);
  const values = [...above.keys()].sort((a, b) => a - b);
  // The next greater score that is there: between the two is room for the tied ones.
  for (const score of scores) {
    for (const value of values) {
      if (score > value && score < above.get(value)!) above.set(value, score);
    }
  }
  order.forEach((t, rank) => {
    const value = scores[tied[t]!]!;
    if (!Number.isFinite(value)) return;
    const next = above.get(value)!;
    const room = Number.isFinite(next) ? next - value : Math.max(1, Math.abs(value));
    out[tied[t]!] = value + 0.5 * room * (1 - (rank + 1) / (tied.length + 1));
  });
  return out;
}
