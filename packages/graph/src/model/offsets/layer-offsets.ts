/** What takes up the means of the outputs of layers: biases, and batch normalisations behind them. */
import type { LayerOffset, Vec } from "@secateur/core";
import type { Plan } from "../../plan/plan.ts";
import { statisticNames } from "../channel-statistics.ts";
import type { GraphState } from "../graph-state.ts";

/** Runs something with the offsets that it is to see. */
export type WithOffsets = <T>(work: () => T) => T;

/** Statistics of batch normalisations and biases as they are now, whatever is written later. */
export function asTheyAre({ norms, biases }: Pick<GraphState, "norms" | "biases">): WithOffsets {
  const changing = [...norms.flatMap(({ mean, variance }) => [mean, variance]), ...biases.values()];
  const all = changing.map(({ live }) => live.data as Vec);
  const then = all.map((data) => data.slice());
  return (work) => {
    const now = all.map((data) => data.slice());
    all.forEach((data, i) => void data.set(then[i]!));
    try {
      return work();
    } finally {
      all.forEach((data, i) => void data.set(now[i]!));
    }
  };
}

/** By the names of weights: their biases, and the statistics of a normalisation that alone takes their outputs. */
export function offsetsOf(
  { norms, biases }: Pick<GraphState, "norms" | "biases">,
  { steps }: Plan,
): ReadonlyMap<string, LayerOffset> {
  const offsets = new Map<string, LayerOffset>([...biases].map(([param, { name }]) => [param, { bias: name }]));
  const byName = new Map(norms.map((norm) => [norm.name, norm]));
  for (const { node, inputs } of steps) {
    const norm = byName.get(node.outputs[0]!);
    const before = norm && steps.find(({ outputs }) => outputs.includes(inputs[0]!));
    const [use] = before?.weights.filter((one) => one !== undefined) ?? [];
    if (!norm || !use || before!.operator.name !== "Conv") continue;
    const takers = steps.filter((step) => step.inputs.includes(inputs[0]!));
    if (takers.length === 1) {
      offsets.set(use.param, { ...offsets.get(use.param), statistics: statisticNames(norm) });
    }
  }
  return offsets;
}
