/** What a sweep looks for: limits on what a configuration measures, and which of those within them is the best. */
import { badUsage } from "../errors.ts";

/** One limit, such as bytes <= 20000. */
export interface GoalTerm {
  readonly name: string;
  readonly is: ">=" | "<=" | ">" | "<";
  readonly value: number;
}

const sizes = ["bytes", "milliseconds", "nonzeros", "sparsity"] as const;

/**
 * Reads "accuracy>=97,bytes<=20000".
 *
 * @param measures - names of what the task measures, the loss among them
 * @throws ERR_USAGE
 */
export function parseGoal(text: string, measures: readonly string[]): readonly GoalTerm[] {
  const known = [...new Set([...measures, ...sizes])];
  return text.split(",").map((part) => {
    const [, name = "", is = "", number = ""] =
      /^\s*([\w-]+)\s*(>=|<=|>|<)\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*$/i.exec(part) ?? [];
    const value = Number(number);
    if (!known.includes(name) || number === "" || Number.isNaN(value)) {
      throw badUsage(
        `--goal: found '${part}', allowed are limits joined by commas on ${known.join(", ")}, such as '${known[0]}>=97,bytes<=20000'`,
        { found: part, known },
      );
    }
    return { name, is: is as GoalTerm["is"], value };
  });
}

/** What a goal looks at. */
export interface Judged {
  /** By name; what could not be measured is missing, and meets no limit. */
  readonly values: Readonly<Record<string, number>>;
}

/** Whether all limits are met. */
function meets(goal: readonly GoalTerm[], { values }: Judged): boolean {
  return goal.every(({ name, is, value }) => {
    const found = values[name];
    if (found === undefined) return false;
    if (is === ">=") return found >= value;
    if (is === "<=") return found <= value;
    return is === ">" ? found > value : found < value;
  });
}

/**
 * The best of those that meet the goal: the smallest, where the goal says how good it has to be; else the one that measures best.
 *
 * @param spec.measure - by which they are compared
 * @returns its place; undefined where none meets the goal
 */
export function bestOf(spec: {
  goal: readonly GoalTerm[];
  candidates: readonly Judged[];
  measure: { readonly name: string; readonly better: "higher" | "lower" };
}): number | undefined {
  const { goal, candidates, measure } = spec;
  const sign = measure.better === "higher" ? -1 : 1;
  const quality = ({ values }: Judged): number => sign * (values[measure.name] ?? Number.NaN);
  const places = candidates.flatMap((one, place) => (meets(goal, one) && !Number.isNaN(quality(one)) ? [place] : []));
  // Sizes of two kinds are no order: bytes only where all have them.
  const haveBytes = places.every((place) => candidates[place]!.values["bytes"] !== undefined);
  const size = ({ values }: Judged): number => values[haveBytes ? "bytes" : "nonzeros"] ?? Number.POSITIVE_INFINITY;
  const saysHowGood = goal.some(({ name }) => !sizes.some((one) => one === name));
  const order = saysHowGood ? [size, quality] : [quality, size];
  places.sort((a, b) => {
    for (const key of order) {
      const [x, y] = [key(candidates[a]!), key(candidates[b]!)];
      if (x !== y) return x - y;
    }
    return a - b;
  });
  return places[0];
}

/** Places of those that no other beats: none is at least as good and as small and better in one of both. Those without a size are left out. */
export function paretoFront(
  points: readonly { readonly quality: number; readonly size: number | undefined }[],
): readonly number[] {
  return points.flatMap(({ quality, size }, place) => {
    if (size === undefined || Number.isNaN(quality)) return [];
    const isBeaten = points.some(
      (other) =>
        other.size !== undefined &&
        other.quality >= quality &&
        other.size <= size &&
        (other.quality > quality || other.size < size),
    );
    return isBeaten ? [] : [place];
  });
}
