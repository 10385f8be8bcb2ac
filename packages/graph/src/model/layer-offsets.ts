/** Batch normalisations behind the layers of a graph: what takes up the means of their outputs. */
import type { LayerOffset, Vec } from "@secateur/core";
import type { Plan } from "../plan/plan.ts";
import { type Norm, statisticNames } from "./channel-statistics.ts";

/** Runs something with the statistics that it is to see. */
export type WithStatistics = <T>(work: () => T) => T;

/** Statistics of batch normalisations as they are now, whatever is written later. */
export function asTheyAre(norms: readonly Norm[]): WithStatistics {
  const all = norms.flatMap(({ mean, variance }) => [mean.live.data, variance.live.data] as Vec[]);
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

/** The statistics behind weights whose outputs go into a batch normalisation alone, by the weight's name. */
export function offsetsOf(norms: readonly Norm[], { steps }: Plan): ReadonlyMap<string, LayerOffset> {
  const byName = new Map(norms.map((norm) => [norm.name, norm]));
  const offsets = new Map<string, LayerOffset>();
  for (const { node, inputs } of steps) {
    const norm = byName.get(node.outputs[0]!);
    const before = norm && steps.find(({ outputs }) => outputs.includes(inputs[0]!));
    const [use] = before?.weights.filter((one) => one !== undefined) ?? [];
    if (!norm || !use || before!.operator.name !== "Conv") continue;
    const takers = steps.filter((step) => step.inputs.includes(inputs[0]!));
    if (takers.length === 1) offsets.set(use.param, { statistics: statisticNames(norm) });
  }
  return offsets;
}
