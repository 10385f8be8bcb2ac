/** Masks that hold patterns inside some parameters and, over all units, another constraint. */
import type { FlatParam } from "../problem/flat-weights.ts";
import type { Constraint, SwapCheck } from "./constraint.ts";
import type { StackedUnits } from "./stack-units.ts";

/** At least one of the two. A mask that a pattern admits is then cut down by the outer constraint. */
export function patterned(spec: {
  units: StackedUnits;
  within: readonly { readonly param: FlatParam; readonly rule: Constraint }[];
  outer: Constraint | undefined;
}): Constraint {
  const { units, within, outer } = spec;
  if (within.length === 0) return outer!;
  const ranges = within.map(({ param, rule }) => {
    const { firstUnit, units: own } = units.parts.find((part) => part.param.name === param.name)!;
    return { first: firstUnit, end: firstUnit + own.count, rule };
  });
  const rangeOf = (unit: number) => ranges.find(({ first, end }) => unit >= first && unit < end);
  return {
    kind: [...(outer ? [outer.kind] : []), "patterns"].join(" and "),
    select(score) {
      const allowed = Float64Array.from(score);
      for (const { first, end, rule } of ranges) {
        const mask = rule.select(allowed.subarray(first, end));
        for (let u = first; u < end; u++) if (mask[u - first] === 0) allowed[u] = Number.NEGATIVE_INFINITY;
      }
      if (outer) return outer.select(allowed);
      return Uint8Array.from(allowed, (value) => (value === Number.NEGATIVE_INFINITY ? 0 : 1));
    },
    violation: (mask) =>
      ranges.reduce((total, { first, end, rule }) => total + rule.violation(mask.subarray(first, end)), 0) +
      (outer?.violation(mask) ?? 0),
    relax: (factor) =>
      patterned({
        units,
        within: within.map(({ param, rule }) => ({ param, rule: rule.relax!(factor) })),
        outer: outer?.relax?.(factor),
      }),
    canSwap(mask) {
      const isSwap: SwapCheck = (out, into) => mask[out] === 1 && mask[into] === 0;
      const outerFits = outer ? outer.canSwap!(mask) : isSwap;
      const checks = new Map(
        ranges.map((range) => [range, range.rule.canSwap!(mask.subarray(range.first, range.end))] as const),
      );
      return (out, into) => {
        const [from, to] = [rangeOf(out), rangeOf(into)];
        // A unit may come into a pattern only for one that leaves the same group.
        const holds = !to || (from === to && checks.get(to)!(out - to.first, into - to.first));
        return holds && outerFits(out, into);
      };
    },
  };
}
