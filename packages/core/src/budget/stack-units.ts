/** The units of all parameters of a network, one after the other, and what keeping each of them costs. */
import { badBudget, badUnits, impossibleRun } from "../errors.ts";
import type { FlatParam } from "../problem/flat-weights.ts";
import { dtypeOf, type Vec, zeros } from "../problem/matrix.ts";
import type { Budget, UnitSpec } from "./budget.ts";
import { blockUnits, channelUnits } from "./group-units.ts";
import { matchesPattern } from "./name-pattern.ts";
import { type Units, weightUnits } from "./units.ts";

/** The units of one parameter. */
export interface StackedPart {
  readonly param: FlatParam;
  readonly spec: UnitSpec;
  readonly units: Units;
  /** Index of its first unit in the stack. */
  readonly firstUnit: number;
}

/** Units of a whole network, with the parts they come from. Costs: weights and flops. */
export interface StackedUnits extends Units {
  readonly parts: readonly StackedPart[];
}

/**
 * Lays the units of the parameters one after the other.
 *
 * @throws ERR_BUDGET for units that do not fit a parameter, and a pattern that names none
 */
export function stackUnits(params: readonly FlatParam[], chosen: Budget["units"] = []): StackedUnits {
  const first = (name: string) => chosen.find(({ match }) => matchesPattern(match, name));
  for (const one of chosen) {
    assertMatches(one.match, params);
    if (params.some(({ name }) => first(name) === one)) continue;
    throw badBudget(
      `the units '${one.units.kind}' of '${one.match}' would be those of no parameter, as the first pattern that matches decides; leave them out, or put the narrower pattern first`,
    );
  }
  let count = 0;
  const parts = params.map((param): StackedPart => {
    const spec = first(param.name)?.units ?? { kind: "weights" };
    const units = unitsOf(param, spec);
    count += units.count;
    return { param, spec, units, firstUnit: count - units.count };
  });
  const perWeight = parts.every(({ units }) => units.perWeight);
  const sizes = new Float64Array(count);
  const flops = new Float64Array(count);
  for (const { param, units, firstUnit } of parts) {
    for (let u = 0; u < units.count; u++) {
      sizes[firstUnit + u] = units.perWeight ? 1 : units.indices(u).length;
      flops[firstUnit + u] = sizes[firstUnit + u]! * param.flopsPerWeight;
    }
  }
  const costs = { weights: sizes, flops };
  if (perWeight) return { ...weightUnits(count, costs), parts };
  const owner = new Uint32Array(count);
  parts.forEach(({ firstUnit, units }, part) => {
    owner.fill(part, firstUnit, firstUnit + units.count);
  });
  return {
    ...{ count, perWeight, costs, parts },
    indices(unit) {
      const { units, firstUnit, param } = parts[owner[unit]!]!;
      return units.indices(unit - firstUnit).map((index) => param.start + index);
    },
    reduce(scores: Vec) {
      const out = zeros(count, dtypeOf(scores));
      for (const { units, firstUnit, param } of parts) {
        out.set(units.reduce(scores.subarray(param.start, param.start + param.size)), firstUnit);
      }
      return out;
    },
  };
}

/** @throws ERR_BUDGET for a pattern that names no parameter */
export function assertMatches(pattern: string, params: readonly FlatParam[]): void {
  if (params.some(({ name }) => matchesPattern(pattern, name))) return;
  const names = params.map(({ name }) => name).join(", ");
  throw badBudget(`no prunable parameter matches '${pattern}'; there are ${names}; write * for the rest of a name`);
}

/** Taps of a convolution; 1 for anything else. */
export function kernelOf({ shape }: Pick<FlatParam, "shape">): number {
  return shape.slice(2).reduce((product, extent) => product * extent, 1);
}

function unitsOf(param: FlatParam, spec: UnitSpec): Units {
  const { name, rows, cols, size } = param;
  switch (spec.kind) {
    case "weights":
    case "of-every":
      return weightUnits(size);
    case "blocks":
      if (!isWhole(spec.rows) || !isWhole(spec.cols)) throw badUnits(name, `blocks of ${spec.rows} x ${spec.cols}`);
      return blockUnits({ rows, cols, height: spec.rows, width: spec.cols });
    case "kernels":
      return blockUnits({ rows, cols, height: 1, width: kernelOf(param) });
    case "rows":
    case "channels":
      return channelUnits({ rows, cols, axis: "out" });
    case "columns":
      return channelUnits({ rows, cols, axis: "in" });
    case "inputs":
      return channelUnits({ rows, cols, axis: "in", kernel: kernelOf(param) });
    default:
      throw impossibleRun(`${name}: there are no units '${String((spec satisfies never as UnitSpec).kind)}'`, { name });
  }
}

function isWhole(extent: number): boolean {
  return Number.isInteger(extent) && extent >= 1;
}
