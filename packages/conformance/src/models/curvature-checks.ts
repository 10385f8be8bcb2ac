/** Curvature estimators: what they estimate, and whether the views of it agree with each other. */
import {
  type Curvature,
  type CurvatureEstimator,
  createRunContext,
  type Dataset,
  type Estimate,
  type EstimateRequest,
  isPruneError,
  type Model,
} from "@secateur/core";
import { describe, ensure, ensureClose, ensureSameBytes, errorOf } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import { countingContext } from "../counting-context.ts";
import { tinyData, tinyModel } from "./tiny-model.ts";
import { denseOf, ensureViews } from "./view-checks.ts";

/** A curvature estimator and what to try it on. */
export interface CurvatureSpec {
  /** Makes it, afresh at every call. */
  readonly create: () => CurvatureEstimator | Promise<CurvatureEstimator>;
  /** For the names of the tests; default "the curvature". */
  readonly name?: string;
  /** Default: a network of 24 weights with every capability of a Model but `layerMoments`. */
  readonly model?: () => Model;
  /** Default: 40 examples for that network. */
  readonly data?: Dataset;
  /** Relative tolerance of products; default 1e-9, for a model in f64. */
  readonly tolerance?: number;
}

/** Registers an estimator's suite. */
export function describeCurvature(suite: CurvatureSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the curvature", curvatureChecks(suite));
}

/** The checks of {@link describeCurvature}. */
export function curvatureChecks(spec: CurvatureSpec): readonly Check[] {
  const { tolerance = 1e-9 } = spec;
  return [
    {
      name: "offers the views it provides, all of one symmetric positive semi-definite H",
      run: () =>
        withEstimate(spec, { ridge: 0.1 }, async (estimate, estimator) => {
          await ensureViews(estimate.curvature(), estimator.provides, tolerance);
        }),
    },
    {
      name: "adds its ridge to H, and multiples of it when asked",
      run: () => withEstimate(spec, { ridge: 0.1 }, (estimate) => ensureRidge(estimate, tolerance)),
    },
    { name: "says what it used: the sample, its loss, the ridge", run: () => ensureChosen(spec) },
    { name: "gives the mean gradient when it is asked for, and only then", run: () => ensureGradient(spec, tolerance) },
    { name: "flattens the parameters in the order they are named", run: () => ensureOrder(spec, tolerance) },
    { name: "gives the same bytes for the same seed, and other examples for another", run: () => ensureSeeded(spec) },
    { name: "leaves the model as it was", run: () => ensureModelUnchanged(spec) },
    { name: "frees what it allocated when it is released", run: () => ensureReleased(spec) },
    {
      name: "does not start when the run is aborted already",
      async run() {
        const ctx = createRunContext({ signal: AbortSignal.abort() });
        const estimator = await spec.create();
        await errorOf(() => estimator.estimate(requestOf(spec, {}), ctx), ["ERR_ABORTED"], "an aborted run");
      },
    },
    { name: "refuses more examples than there are, and a ridge below 0", run: () => ensureRefusals(spec) },
  ];
}

function requestOf({ model, data }: CurvatureSpec, change: Partial<EstimateRequest>): EstimateRequest {
  const chosen = model?.() ?? tinyModel();
  const params = chosen
    .params()
    .filter(({ prunable }) => prunable)
    .map(({ name }) => name);
  return { model: chosen, data: data ?? tinyData(), params, examples: 12, batch: 1, ridge: 0.1, ...change };
}

async function withEstimate(
  spec: CurvatureSpec,
  change: Partial<EstimateRequest>,
  judge: (estimate: Estimate, estimator: CurvatureEstimator) => void | Promise<void>,
): Promise<void> {
  const estimator = await spec.create();
  const estimate = await estimator.estimate(requestOf(spec, change), createRunContext());
  try {
    await judge(estimate, estimator);
  } finally {
    estimate.release();
  }
}

const sizeOf = ({ model, params }: EstimateRequest): number =>
  model.params().reduce((sum, { name, rows, cols }) => sum + (params.includes(name) ? rows * cols : 0), 0);

async function ensureRidge(estimate: Estimate, tolerance: number): Promise<void> {
  const plain = estimate.curvature();
  const same = estimate.curvature(1);
  ensureClose(same.diagonal(), plain.diagonal(), { what: "the diagonal of curvature(1)", tolerance });
  const tripled = await denseOf(estimate.curvature(3));
  const H = await denseOf(plain);
  for (let j = 0; j < H.rows; j++) {
    const [before, after] = [H.data[j * H.cols + j]!, tripled.data[j * H.cols + j]!];
    ensure(after > before, () => `three times the ridge leaves the diagonal entry ${j} at ${after}, it was ${before}`);
  }
}

async function ensureChosen(spec: CurvatureSpec): Promise<void> {
  const request = requestOf(spec, { ridge: 0.25 });
  const estimate = await (await spec.create()).estimate(request, createRunContext());
  try {
    const { chosen, sample, loss, ridgeIsAutomatic } = estimate;
    ensure(chosen.ridge === 0.25, () => `chosen.ridge is ${chosen.ridge}, asked for was 0.25`);
    ensure(!ridgeIsAutomatic, () => "ridgeIsAutomatic is true with a ridge that was asked for");
    ensure(chosen.examples === 12 && chosen.batch === 1, () => {
      return `chosen are ${chosen.examples} rows of ${chosen.batch}, asked for were 12 of 1`;
    });
    ensure(sample.size === chosen.examples * chosen.batch, () => `the sample has ${sample.size} examples, not 12`);
    if (request.model.evaluate) {
      const measured = await request.model.evaluate(sample, createRunContext());
      ensureClose([loss], [measured.loss], { what: "the loss of the sample", tolerance: 1e-5 });
    }
    const { dim } = estimate.curvature();
    ensure(
      dim === sizeOf(request),
      () => `the curvature's dim is ${dim}, the parameters have ${sizeOf(request)} weights`,
    );
  } finally {
    estimate.release();
  }
  await withEstimate(spec, { ridge: "auto" }, ({ chosen }) => {
    // An automatic ridge of which no multiples compete need not call itself so.
    ensure(Number.isFinite(chosen.ridge) && chosen.ridge >= 0, () => `the automatic ridge is ${chosen.ridge}`);
  });
}

async function ensureGradient(spec: CurvatureSpec, tolerance: number): Promise<void> {
  await withEstimate(spec, {}, ({ gradient }) => {
    ensure(gradient === undefined, () => "there is a gradient that was not asked for");
  });
  const request = requestOf(spec, { firstOrder: true });
  const estimate = await (await spec.create()).estimate(request, createRunContext());
  try {
    const { gradient, sample } = estimate;
    ensure(
      gradient?.rows === 1 && gradient.cols === sizeOf(request),
      () => `the gradient is ${gradient?.rows} x ${gradient?.cols}`,
    );
    if (!request.model.meanGradient) return;
    const examples = Uint32Array.from({ length: sample.size }, (_, i) => i);
    const { params } = request;
    const measured = await request.model.meanGradient({ params, data: sample, examples }, createRunContext());
    ensureClose(gradient.data, measured.gradient, { what: "the gradient", tolerance: Math.max(tolerance, 1e-6) });
  } finally {
    estimate.release();
  }
}

async function ensureOrder(spec: CurvatureSpec, tolerance: number): Promise<void> {
  const { params, model } = requestOf(spec, {});
  if (params.length < 2) return;
  const size = (name: string): number => {
    const { rows, cols } = model.params().find((info) => info.name === name)!;
    return rows * cols;
  };
  const reversed = [...params].reverse();
  await withEstimate(spec, {}, async (estimate) => {
    const plain = Float64Array.from(estimate.curvature().diagonal());
    await withEstimate(spec, { params: reversed }, (other) => {
      const parts: number[] = [];
      for (const name of reversed) {
        const start = params.slice(0, params.indexOf(name)).reduce((sum, earlier) => sum + size(earlier), 0);
        parts.push(...plain.subarray(start, start + size(name)));
      }
      ensureClose(other.curvature().diagonal(), parts, {
        what: "the diagonal with the parameters reversed",
        tolerance,
      });
    });
  });
}

async function diagonalOf(spec: CurvatureSpec, seed: number): Promise<Float64Array> {
  const estimate = await (await spec.create()).estimate(requestOf(spec, {}), createRunContext({ seed }));
  try {
    return Float64Array.from(estimate.curvature().diagonal());
  } finally {
    estimate.release();
  }
}

async function ensureSeeded(spec: CurvatureSpec): Promise<void> {
  const first = await diagonalOf(spec, 3);
  ensureSameBytes(await diagonalOf(spec, 3), first, "the diagonal of a second estimate");
  const other = await diagonalOf(spec, 4);
  ensure(
    other.some((value, j) => value !== first[j]),
    () => {
      return "another seed gives the same H from 12 of the examples; draw them with ctx.rng";
    },
  );
}

async function ensureModelUnchanged(spec: CurvatureSpec): Promise<void> {
  const request = requestOf(spec, { firstOrder: true });
  const { model } = request;
  const names = model.params().map(({ name }) => name);
  const before = await Promise.all(names.map((name) => model.read(name)));
  const estimate = await (await spec.create()).estimate(request, createRunContext());
  await useAll(estimate.curvature());
  estimate.release();
  for (const [i, name] of names.entries()) {
    ensureSameBytes((await model.read(name)).data, before[i]!.data, `the model's '${name}'`);
  }
}

/** Asks for a product and a diagonal, so that what is set up late is set up. */
async function useAll(curvature: Curvature): Promise<void> {
  curvature.diagonal();
  await curvature.apply(new Float64Array(curvature.dim).fill(1), new Float64Array(curvature.dim));
  const inverse = await curvature.inverse?.();
  inverse?.release();
}

async function ensureReleased(spec: CurvatureSpec): Promise<void> {
  const { ctx, live } = countingContext();
  const estimate = await (await spec.create()).estimate(requestOf(spec, {}), ctx);
  await useAll(estimate.curvature());
  estimate.release();
  ensure(live() === 0, () => `${live()} vectors of kernel memory are left after release`);
}

async function ensureRefusals(spec: CurvatureSpec): Promise<void> {
  const size = (spec.data ?? tinyData()).size;
  for (const change of [{ examples: size + 1 }, { ridge: -1 }]) {
    const what = JSON.stringify(change);
    try {
      const estimate = await (await spec.create()).estimate(requestOf(spec, change), createRunContext());
      estimate.release();
    } catch (error) {
      ensure(
        isPruneError(error) && error.fault === "input",
        () => `${what}: ended with ${describe(error)}, expected a PruneError`,
      );
      continue;
    }
    throw new Error(`${what} was accepted, expected a PruneError that says what is allowed`);
  }
}
