/**
 * Second moments of what the layers see, for Kronecker-factored curvature: with x the inputs of a weight row and delta the slope of the loss
 * at its output,
 *   A = mean over examples of the sum over positions of x x',   B = mean over examples and positions of delta delta'
 * (Martens and Grosse 2015; convolutions: Grosse and Martens 2016). Slopes at the outputs are drawn, so that the moments are those of the
 * Gauss-Newton matrix. Departures: before a batch normalisation whose statistics are corrected, x may be taken less its mean; A is taken over
 * the first examples only where these have windows enough.
 */
import {
  type LayerMoments,
  type LossSum,
  type Moments,
  type MomentsRequest,
  type Rng,
  type RunContext,
  zerosLike,
} from "@secateur/core";
import { firstExamples } from "../model-run.ts";
import { meanGradient } from "./gradients.ts";
import { type Adapted, hostUses } from "./host-uses.ts";
import { type LayerSums, layerSums } from "./layer-sums.ts";
import { added, eachPass, lossOfPass, type Pass, type Posed } from "./passes.ts";
import { disposeRecording, recordGradients } from "./record-gradients.ts";

/**
 * Takes the moments of weights that are used once (ModelFacts.haveMoments). Time: a forward and a backward pass (two with the gradient), and
 * in^2 / 2 multiply-adds a window. Memory: in^2 + out^2 numbers a layer and the values of one pass.
 *
 * @throws as gradientRows
 */
export async function layerMoments(
  adapted: Adapted,
  request: Posed<MomentsRequest>,
  ctx: RunContext,
): Promise<Moments> {
  const { run, find } = adapted;
  const { params, centred } = request;
  const layout = run.layoutOf(request.data);
  run.probe(layout);
  const examples = wholePasses(adapted, request.examples);
  const sums = new Map(
    params.map((param) => [param, layerSums({ ...find(param), examples: examples.length, kernels: ctx.kernels })]),
  );
  const rng = ctx.rng.fork("moments");
  let normed: ReadonlySet<string> = new Set();
  let loss: LossSum = { sum: 0, count: 0 };
  await eachPass(adapted, { ...request, examples, layout, ctx }, async (pass) => {
    const found = await onePass(adapted, { pass, request: { ...request, examples }, sums, rng, ctx });
    normed = found.normed;
    loss = added(loss, found.loss);
    await ctx.tick({ task: "gradients", done: pass.to, total: examples.length });
  });
  const layers = params.flatMap((param): readonly LayerMoments[] => {
    return sums.get(param)!.moments({ param, centred: centred && normed.has(param) });
  });
  const slope = request.gradient ? await meanGradient(adapted, request, ctx) : undefined;
  return { layers, ...(slope ? { gradient: slope.gradient } : {}), loss: loss.sum / loss.count };
}

/** Where the batch size is fixed, a rest that does not fill one is left out, unless it is all there is: its filling has inputs too. */
function wholePasses({ run }: Adapted, examples: Uint32Array): Uint32Array {
  const { batch } = run.runnable.input;
  if (batch === undefined || examples.length < batch) return examples;
  return examples.subarray(0, examples.length - (examples.length % batch));
}

async function onePass(
  adapted: Adapted,
  spec: {
    pass: Pass;
    request: Posed<MomentsRequest>;
    sums: ReadonlyMap<string, LayerSums>;
    rng: Rng;
    ctx: RunContext;
  },
): Promise<{ normed: ReadonlySet<string>; loss: LossSum }> {
  const { run } = adapted;
  const { pass, request, sums, rng, ctx } = spec;
  const { params, examples, task, temperature } = request;
  const { computation, loss } = lossOfPass(adapted, { params, task, pass, examples, kernels: ctx.kernels });
  const count = pass.to - pass.from;
  const recording = recordGradients(run.tf, {
    ...computation,
    delta(outputs) {
      computation.delta(outputs);
      const drawn = zerosLike(outputs);
      const own = firstExamples(outputs, count);
      task.outputFactor({ outputs: own, targets: pass.targets, temperature }).draw(rng, firstExamples(drawn, count));
      return drawn;
    },
  });
  const uses = await hostUses(recording.uses);
  disposeRecording(run.tf, recording);
  for (const param of params) {
    const [use] = uses.get(param) ?? [];
    // Of a weight that the loss does not depend on every moment is zero.
    if (use) sums.get(param)!.add({ ...use, batch: pass.input.shape[0]!, count });
  }
  return { normed: recording.normed, loss: loss() };
}
