/** The lower rungs: saliencies, selectors and updaters, by themselves and as the solvers that core makes of them. */
import {
  createRunContext,
  type Mask,
  objective,
  type Problem,
  type RunContext,
  type Saliency,
  type Selector,
  selectorFrom,
  solverFrom,
  type Updater,
} from "@secateur/core";
import { ensure, ensureSameBytes, watch } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import { denseHessian, minimiserOn } from "./brute-force.ts";
import { ensureMasked, objectiveScale, objectiveTolerance } from "./solution-checks.ts";
import { solverChecks } from "./solver-checks.ts";
import { everyProblem, refusalFor, type SolverSpec } from "./solver-suite.ts";
import { type TinySpec, tinyProblem } from "./tiny-problems.ts";

/** What a rung is told about; the claims are those of the solver that core makes of it. */
export type RungSpec<Rung> = Omit<SolverSpec, "create"> & {
  /** Makes it, afresh at every call. */
  readonly create: () => Rung | Promise<Rung>;
};

/** Registers a saliency's suite: its scores, and those of the solver that keeps the highest. */
export function describeSaliency(suite: RungSpec<Saliency> & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the saliency", saliencyChecks(suite));
}

/** Registers a selector's suite: that of the solver that leaves the selected weights as they are. */
export function describeSelector(suite: RungSpec<Selector> & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the selector", selectorChecks(suite));
}

/** Registers an updater's suite: its weights on masks of any origin, and those of the solver with the largest magnitudes. */
export function describeUpdater(suite: UpdaterSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the updater", updaterChecks(suite));
}

/** The checks of {@link describeSaliency}. */
export function saliencyChecks(spec: RungSpec<Saliency>): readonly Check[] {
  return [
    { name: "gives one number to every weight", run: () => onTaken(spec, ensureScores) },
    ...solverChecks({ ...spec, create: async () => solverFrom(selectorFrom(await spec.create())) }),
  ];
}

/** The checks of {@link describeSelector}. */
export function selectorChecks(spec: RungSpec<Selector>): readonly Check[] {
  return solverChecks({ ...spec, create: async () => solverFrom(await spec.create()) });
}

/** An updater and what it claims. */
export interface UpdaterSpec extends RungSpec<Updater> {
  /** Whether Q after the update is never above Q of the kept weights as they were. Default true. */
  readonly improves?: boolean;
}

/** The checks of {@link describeUpdater}. */
export function updaterChecks(spec: UpdaterSpec): readonly Check[] {
  const lift = async () => solverFrom(byMagnitude, await spec.create());
  const asked: Omit<SolverSpec, "create"> =
    spec.improves === false ? spec : { ...spec, baseline: () => solverFrom(byMagnitude) };
  return [
    {
      name: "takes any feasible mask, and leaves it and its inputs as they were",
      run: () => onTaken(spec, ensureUpdate),
    },
    ...(spec.claims?.includes("mask")
      ? [
          {
            name: "finds the minimiser on masks of any origin, as it claims",
            run: () => onTaken(spec, minimiserOf(spec)),
          },
        ]
      : []),
    ...solverChecks({ ...asked, create: lift }),
  ];
}

const byMagnitude: Selector = selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) });

type Judge<Rung> = (rung: Rung, one: TinySpec, ctx: RunContext) => Promise<void>;

async function onTaken<Rung>(spec: RungSpec<Rung>, judge: Judge<Rung>): Promise<void> {
  for (const one of everyProblem()) {
    if (!refusalFor(one, spec.refuses)) await judge(await spec.create(), one, createRunContext());
  }
}

async function ensureScores(saliency: Saliency, one: TinySpec, ctx: RunContext): Promise<void> {
  const { problem, label, inputs } = tinyProblem(one);
  const ensureUnchanged = watch(inputs);
  const scores = await saliency.score(problem, ctx);
  ensure(scores.length === problem.w.data.length, () => {
    return `${label}: ${scores.length} scores, expected ${problem.w.data.length}, one for every weight`;
  });
  const lost = scores.findIndex(Number.isNaN);
  ensure(lost < 0, () => `${label}: the score of weight ${lost} is NaN`);
  ensure(
    scores.buffer !== problem.w.data.buffer,
    () => `${label}: the scores are the weights themselves; return a copy`,
  );
  ensureUnchanged(`${label}: the saliency`);
}

/** A feasible mask that no method would choose. */
function oddMask({ units, constraint }: Problem): Mask {
  return constraint.select(Float64Array.from({ length: units.count }, (_, unit) => Math.sin(7 * unit + 1)));
}

async function ensureUpdate(updater: Updater, one: TinySpec, ctx: RunContext): Promise<void> {
  const { problem, label, inputs } = tinyProblem(one);
  const mask = oddMask(problem);
  const ensureUnchanged = watch({ ...inputs, mask });
  const w = await updater.update(problem, mask, ctx);
  ensureMasked(problem, { w, mask }, label);
  ensureUnchanged(`${label}: the updater`);
  const again = await updater.update(problem, mask, createRunContext());
  ensureSameBytes(again.data, w.data, `${label}: a second update`);
}

function minimiserOf({ slack = 0 }: UpdaterSpec): Judge<Updater> {
  return async (updater, one, ctx) => {
    const { problem, label } = tinyProblem(one);
    const mask = oddMask(problem);
    const w = await updater.update(problem, mask, ctx);
    const best = await minimiserOn(problem, mask, await denseHessian(problem));
    const found = await objective(problem, w);
    const allowed = (slack + 10 * objectiveTolerance(problem)) * (await objectiveScale(problem));
    ensure(best !== undefined && found <= best.objective + allowed, () => {
      return `${label}: on the mask ${mask.join("")} Q = ${found}, the minimum there is ${best?.objective}`;
    });
  };
}
