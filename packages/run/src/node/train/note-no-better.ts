import type { Dataset, Evaluation } from "@secateur/core";
import type { Session } from "../../session.ts";

/** So many examples, evenly spread, tell how far targets spread. */
const most = 2000;
/** An error from this share of the spread of the targets on is no better than their mean. */
const nearlyAll = 0.98;

/** Says so where a network for regression, once trained, meets its targets no better than their mean would. */
export async function noteNoBetter(spec: {
  data: Dataset;
  test: Evaluation;
  onEvent: Session["onEvent"];
}): Promise<void> {
  const { data, test, onEvent } = spec;
  const { value: error } = test.measures.find(({ name }) => name === "rmse") ?? {};
  const [target] = data.targets ?? [];
  if (error === undefined || !target || data.targets!.length !== 1 || data.size < 2) return;
  const count = Math.min(most, data.size);
  const indices = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * data.size) / count));
  const values = Array.from((await data.batch(indices)).targets?.[target.name]?.data ?? [], Number);
  const spread = spreadOf(values, values.length / count);
  if (!(error >= nearlyAll * spread)) return;
  const digits = (value: number): string => value.toPrecision(3);
  const message = `an rmse of ${digits(error)} is no better than always answering the mean of the targets, ${digits(spread)}: nothing was learned; lower --learning-rate, or scale the targets to numbers of about 1`;
  onEvent({ type: "note", level: "warn", code: "no-better-than-mean", message });
}

/** The root mean square distance of rows [count, width] from their mean. */
function spreadOf(values: readonly number[], width: number): number {
  const means = new Float64Array(width);
  values.forEach((value, i) => {
    means[i % width]! += (value * width) / values.length;
  });
  const squares = values.reduce((sum, value, i) => sum + (value - means[i % width]!) ** 2, 0);
  return Math.sqrt(squares / values.length);
}
