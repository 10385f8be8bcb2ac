/**
 * What the layers of a stage of scope "layers" may keep. A number of weights is left to the loop to share out over the layers that are not
 * excluded. Everything that says it for each layer is worked out here: patterns, an allocation, and units of several weights, of
 * which every layer keeps the same fraction, one at least.
 */
import type { BoundBudget } from "../../budget/bound-budget.ts";
import { type Constraint, countKept, keepCount } from "../../budget/constraint.ts";
import { keepOfEvery } from "../../budget/keep-of-every.ts";
import { costConstraint } from "../../budget/limits/cost-constraint.ts";
import { type StackedPart, stackUnits } from "../../budget/stack-units.ts";
import { type Units, weightUnits } from "../../budget/units.ts";
import { badBudget } from "../../errors.ts";
import type { FlatParam } from "../../problem/flat-weights.ts";
import type { RunContext } from "../../run-context.ts";
import type { Stage } from "../../stages/stage.ts";
import type { StageRun } from "../run-stage.ts";
import { stageConstraint } from "../stage-constraint.ts";

/** Some rows of a parameter's matrix: a layer, or a group of a grouped convolution. */
export interface LayerPlace {
  readonly param: string;
  readonly firstRow: number;
  readonly rows: number;
  readonly cols: number;
}

/** What a layer may keep. */
export interface LayerLimit {
  readonly units: Units;
  readonly constraint: Constraint;
}

/** A limit that layers share: what every kept weight of a parameter costs, and what all may cost together. */
export interface SharedLimit {
  /** For messages, for example "flops". */
  readonly name: string;
  readonly each: ReadonlyMap<string, number>;
  readonly most: number;
}

/** How a stage's budget comes to its layers. */
export interface LayerBudget {
  /** The parameters that are pruned: without those that are excluded. */
  readonly params: readonly FlatParam[];
  /** Fraction of weights that is removed: where the loop shares it out of those of `params`, else of all parameters. */
  readonly sparsity: number;
  /** Where other things than weights are limited: all limits, which hold together; `sparsity` is then the one at which every layer, pruned alike, meets them. */
  readonly limits?: readonly SharedLimit[];
  /** What each layer may keep; absent: the loop shares the sparsity out. */
  readonly limitOf?: (layer: LayerPlace) => LayerLimit;
}

/** Refuses what layers solved one after the other cannot keep to. @throws ERR_BUDGET naming the limit */
export function assertLayerBudget(bound: BoundBudget | undefined): void {
  if (!bound) return;
  const { allocation, sparsity } = bound;
  const whole = "layers are pruned one after the other, so in scope layers";
  for (const { kind } of bound.limitsAt(sparsity)) {
    if (kind === "bytes" || kind === "milliseconds") {
      throw badBudget(
        `${whole} there can be no limit of ${kind}, which is of the whole network; limit weights, or use a solver of the whole network, such as chita`,
      );
    }
  }
  const isShared = bound.limitsAt(sparsity).some(({ kind }) => kind === "flops") && !allocation;
  if (isShared && !bound.units.perWeight) {
    throw badBudget(
      `${whole} a limit of flops is shared out among single weights; leave the units at weights, or use a solver of the whole network, such as chita`,
    );
  }
  const bounded = allocation
    ? []
    : bound.floors.filter(({ isUsual, part, least }) => !isUsual && least < part.param.size);
  if (bounded.length > 0) {
    throw badBudget(
      `${whole} the bound of '${bounded[0]!.part.param.name}' needs an allocation, such as uniform or erk, that says what each layer keeps; add one, exclude the layer, or use a solver of the whole network, such as chita`,
    );
  }
  const parts = prunedParts(bound);
  const patterned = parts.filter(({ spec }) => spec.kind === "of-every");
  if (patterned.some(({ spec }) => spec.kind === "of-every" && spec.along === "channels")) {
    throw badBudget(
      `${whole} a pattern runs along the columns of a layer; leave :channels out, or use a solver of the whole network, such as chita`,
    );
  }
  if (patterned.length > 0 && patterned.length < parts.length) {
    const other = parts.find((part) => !patterned.includes(part))!;
    throw badBudget(
      `${whole} either every layer has a pattern of-every or none: '${other.param.name}' has ${other.spec.kind}; exclude it, give it a pattern, or use a solver of the whole network, such as chita`,
    );
  }
  if (patterned.length > 0 && keptByPatterns(bound, sparsity) > mostWeights(bound, sparsity) * (1 + 1e-9)) {
    throw badBudget(
      `${whole} a limit of weights below what the patterns keep cannot be met; leave one of them out, or use a solver of the whole network, such as chita`,
    );
  }
}

/** The budget of a stage by layer. @throws ERR_BUDGET where nothing would be left of some layer */
export function layerBudget(
  run: Pick<StageRun, "bound" | "params" | "weights" | "mask"> & { readonly stage: Pick<Stage, "sparsity" | "regrow"> },
  ctx: RunContext,
): LayerBudget {
  const { bound, params, stage, weights } = run;
  const { sparsity } = stage;
  if (!bound || (!bound.isStructured && !bound.allocation)) return { params, sparsity };
  if (bound.allocation) {
    const kept = stageConstraint(run, ctx).select(weights.map(Math.abs));
    const keptOf = ({ start, size }: FlatParam): number => countKept(kept.subarray(start, start + size));
    const limitOf = ({ param, firstRow, rows, cols }: LayerPlace): LayerLimit => {
      const from = params.find(({ name }) => name === param)!.start + firstRow * cols;
      const count = rows * cols;
      const keep = countKept(kept.subarray(from, from + count));
      return { units: weightUnits(count), constraint: keepCount({ count, keep, kernels: ctx.kernels }) };
    };
    return { params: params.filter((param) => keptOf(param) < param.size), sparsity, limitOf };
  }
  const parts = prunedParts(bound);
  const pruned = parts.map(({ param }) => param);
  if (parts.some(({ spec }) => spec.kind === "of-every")) {
    const limitOf = ({ param, rows, cols }: LayerPlace): LayerLimit => {
      const { spec } = parts.find((part) => part.param.name === param)!;
      const count = rows * cols;
      return {
        units: weightUnits(count),
        constraint: keepOfEvery({ count, cols, ...bound.patternAt(spec, sparsity) }),
      };
    };
    return { params: pruned, sparsity, limitOf };
  }
  const size = sizeOf(pruned);
  const left = mostWeights(bound, sparsity) - (sizeOf(params) - size);
  if (left < 1)
    throw badBudget("what is excluded is all that its limit keeps, so nothing would be left of the other layers");
  const limits = sharedLimits(bound, { sparsity, pruned });
  if (limits.length > 0) {
    const shares = limits.map(
      ({ each, most }) => most / pruned.reduce((sum, { name, size: own }) => sum + each.get(name)! * own, 0),
    );
    const share = Math.min(...shares);
    if (!(share > 0))
      throw badBudget("what is excluded is all that its limits keep, so nothing would be left of the other layers");
    return { params: pruned, sparsity: Math.max(0, 1 - share), limits };
  }
  if (parts.every(({ units }) => units.perWeight)) {
    return { params: pruned, sparsity: 1 - Math.floor(left + 1e-6) / size };
  }
  const shares = unitShares(parts, left);
  return {
    params: pruned,
    sparsity: 1 - left / size,
    limitOf: (layer) => {
      const part = parts.find(({ param }) => param.name === layer.param)!;
      return sharedUnits(part, layer, { most: ofRows(shares.get(part)!, layer, part.param.rows), ctx });
    },
  };
}

/** Every limit, less what excluded layers cost, where there is one on other things than weights. */
function sharedLimits(
  bound: BoundBudget,
  { sparsity, pruned }: { sparsity: number; pruned: readonly FlatParam[] },
): readonly SharedLimit[] {
  const limits = bound.limitsAt(sparsity);
  if (limits.every(({ kind }) => kind === "weights")) return [];
  const all = bound.units.parts.map(({ param }) => param);
  return limits.map(({ kind, amount, absolute }) => {
    const costOf = ({ flopsPerWeight }: FlatParam): number => (kind === "flops" ? flopsPerWeight : 1);
    const total = (params: readonly FlatParam[]): number =>
      params.reduce((sum, param) => sum + costOf(param) * param.size, 0);
    const most = (absolute ? amount : amount * total(all)) - (total(all) - total(pruned));
    return { name: kind, each: new Map(pruned.map((param) => [param.name, costOf(param)])), most };
  });
}

/** What is some rows' of a parameter's share: whole weights, of all groups together as many as the parameter's. */
function ofRows(share: number, { firstRow, rows }: LayerPlace, all: number): number {
  if (rows === all) return share;
  const upTo = (row: number): number => Math.floor((share * row) / all + 1e-9);
  return upTo(firstRow + rows) - upTo(firstRow);
}

/** Weights that each parameter may keep: the same fraction of all, but of those whose share is no whole unit one unit. @throws ERR_BUDGET */
function unitShares(parts: readonly StackedPart[], weights: number): ReadonlyMap<StackedPart, number> {
  const least = parts.reduce((sum, part) => sum + unitSize(part), 0);
  if (least > weights + 1e-6) {
    throw badBudget(
      `in scope layers every layer keeps one of its units at least, ${least} weights together, and the limit leaves ${Math.floor(weights + 1e-6)}; raise it, exclude layers, or use a solver of the whole network, such as chita`,
    );
  }
  const shares = new Map<StackedPart, number>();
  let [open, left] = [parts, weights];
  while (open.length > 0) {
    const fraction = left / sizeOf(open.map(({ param }) => param));
    const small = open.filter((part) => fraction * part.param.size < unitSize(part) - 1e-6);
    // A share that is enough for every layer ends it.
    for (const part of small.length > 0 ? small : open) {
      shares.set(part, small.length > 0 ? unitSize(part) : fraction * part.param.size);
    }
    left -= small.reduce((sum, part) => sum + unitSize(part), 0);
    open = small.length > 0 ? open.filter((part) => !small.includes(part)) : [];
  }
  return shares;
}

/** Weights of the first unit, and so of all but those at the edges. */
function unitSize({ units }: StackedPart): number {
  return units.perWeight ? 1 : units.indices(0).length;
}

/** Units of a layer within a number of weights. */
function sharedUnits(
  { param, spec }: StackedPart,
  { param: name, rows }: LayerPlace,
  { most, ctx }: { most: number; ctx: RunContext },
): LayerLimit {
  if (rows < param.rows && spec.kind !== "weights") {
    throw badBudget(
      `'${name}' is a grouped convolution, whose groups are problems of their own in scope layers, so it has no ${spec.kind} there; exclude it, or use a solver of the whole network, such as chita`,
    );
  }
  const alone = { ...param, start: 0, rows, size: rows * param.cols };
  const units = stackUnits([alone], [{ match: "*", units: spec }]);
  const sizes = units.costs["weights"]!;
  const areEqual = sizes.every((one: number) => one === sizes[0]);
  const keep = Math.floor(most / sizes[0]! + 1e-9);
  const constraint = areEqual
    ? keepCount({ count: units.count, keep, kernels: ctx.kernels })
    : costConstraint(units.count, [{ name: "weights", costs: sizes, most }]);
  return { units, constraint };
}

/** Those that are not excluded. */
function prunedParts({ units, floors }: BoundBudget): readonly StackedPart[] {
  const isExcluded = (part: StackedPart): boolean =>
    floors.some((floor) => floor.part === part && !floor.isUsual && floor.least === part.param.size);
  return units.parts.filter((part) => !isExcluded(part));
}

/** The least of the limits on weights at a stage, as a number of weights; all of them without such a limit. */
function mostWeights(bound: BoundBudget, sparsity: number): number {
  const size = sizeOf(bound.units.parts.map(({ param }) => param));
  const limits = bound.limitsAt(sparsity).filter(({ kind }) => kind === "weights");
  return Math.min(size, ...limits.map(({ amount, absolute }) => (absolute ? amount : amount * size)));
}

function keptByPatterns(bound: BoundBudget, sparsity: number): number {
  const pruned = prunedParts(bound);
  return bound.units.parts.reduce((sum, part) => {
    const { spec, param } = part;
    if (!pruned.includes(part)) return sum + param.size;
    const { keep, of } = bound.patternAt(spec, sparsity);
    // The shorter group at the end of a row keeps as many as it can of what a whole one keeps.
    const { rows, cols } = param;
    return sum + rows * (Math.floor(cols / of) * keep + Math.min(keep, cols % of));
  }, 0);
}

function sizeOf(params: readonly FlatParam[]): number {
  return params.reduce((sum, { size }) => sum + size, 0);
}
