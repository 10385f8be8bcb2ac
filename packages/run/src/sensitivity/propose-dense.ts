/** Which layers to keep dense: those that cost much alone, as far as the budget allows, and only if that pays for all. */
import { gainOver, keptCount, type MeasuredValue } from "@secateur/core";
import type { LayerScan } from "./scan-layers.ts";

/** Layers kept dense may use at most this part of the weights that are kept: the others must have room to live. */
const mostOfBudget = 0.5;

/** A layer that loses more than the tolerance alone. */
export interface SensitiveLayer {
  readonly name: string;
  readonly size: number;
  /** How much worse the network is at the target when this layer alone is pruned to it, in the unit of the measure. */
  readonly drop: number;
}

/**
 * The layers whose pruning to the target alone costs more than `tolerance`, most lost per weight first, as long as
 * their weights fit into half of the budget. Every one of them kept dense makes the others sparser.
 *
 * @param spec.scans - a layer that was not measured at the target is no candidate
 * @param spec.dense - the measure before pruning
 * @param spec.target - the sparsity at which layers are judged; one of those that were scanned
 * @param spec.tolerance - in the unit of the measure, >= 0
 */
export function sensitiveLayers(spec: Judged): readonly SensitiveLayer[] {
  const { scans, target } = spec;
  const budget = keptCount(
    scans.reduce((sum, { size }) => sum + size, 0),
    target,
  );
  let spent = 0;
  return costlyLayers(spec).filter(({ size }) => {
    if (spent + size > mostOfBudget * budget) return false;
    spent += size;
    return true;
  });
}

/** What layers are judged by. */
interface Judged {
  readonly scans: readonly LayerScan[];
  readonly dense: Pick<MeasuredValue, "value" | "better">;
  readonly target: number;
  readonly tolerance: number;
}

/** All layers whose pruning to the target alone costs more than `tolerance`, most lost per weight first. */
export function costlyLayers({ scans, dense, target, tolerance }: Judged): readonly SensitiveLayer[] {
  return scans
    .flatMap(({ name, size, measures }) => {
      const found = measures.find(({ sparsity }) => sparsity === target);
      return found ? [{ name, size, drop: -gainOver(dense.value, { ...dense, value: found.value }) }] : [];
    })
    .filter(({ drop }) => drop > tolerance)
    .sort((a, b) => b.drop / b.size - a.drop / a.size);
}
