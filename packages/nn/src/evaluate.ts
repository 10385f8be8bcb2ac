/** A network's outputs, for a batch or batch by batch with what a task makes of them. */
import {
  asTensor,
  type Batch,
  type Dataset,
  dtypeOf,
  type Evaluation,
  evaluateBatches,
  type FloatTensors,
  formatShape,
  inputRows,
  type KeptPool,
  type Mat,
  matrix,
  panelWidth,
  type RunContext,
  type Task,
  throwIfAborted,
  zeros,
} from "@secateur/core";
import { type Model, passSize } from "./derivatives/gradient-passes.ts";
import { dtypeOfWeights, logitsOf } from "./derivatives/tape.ts";
import { dataMismatch } from "./errors.ts";
import { featureCount, type NetworkSpec } from "./graph/network-spec.ts";
import { batchInDtype } from "./in-dtype.ts";
import { outputName } from "./network-tensors.ts";
import { rowsOf } from "./ops/op.ts";
import { outputPlan, type PanelPlan } from "./panels/panel-plan.ts";
import { type Pool, withPool } from "./pool.ts";

/** Examples a forward pass: large enough for the kernels, small enough to report progress often. */
const batchSize = 1000;

/** Loss and measures of a network over a dataset. */
export async function evaluate(
  model: Model,
  { data, task }: { data: Dataset; task: Task },
  ctx: RunContext,
): Promise<Evaluation> {
  const { spec, weights } = model;
  return await withPool(ctx.kernels, dtypeOfWeights(weights), (pool) => {
    // Where a pass holds fewer examples than a panel has, panels would take more memory than a pass may.
    const panels = passSize(spec) < panelWidth ? undefined : outputPlan({ network: spec, weights, pool });
    return evaluateBatches(
      {
        ...{ model: spec.name, data, task },
        batchSize: sizeOfPasses(spec, panels),
        outputsOf: (batch) => outputsOf(model, inputRows(batch), { pool, panels }),
      },
      ctx,
    );
  });
}

/** The outputs of a batch of any size. @param pools - keep the memory of a run for the next one of the same size */
export async function runBatch(
  model: Model,
  batch: Batch,
  { ctx, pools }: { ctx: RunContext; pools: KeptPool },
): Promise<FloatTensors> {
  throwIfAborted(ctx.signal);
  const dtype = dtypeOfWeights(model.weights);
  const input = inputRows(batchInDtype(batch, dtype));
  if (input.cols !== featureCount(model.spec)) {
    const [found, expected] = [`examples of ${input.cols} numbers`, formatShape(model.spec.inputShape)];
    throw dataMismatch({ network: model.spec.name, data: "batch", found, expected });
  }
  return await pools.use(ctx.kernels, input.rows, async (pool) => outputsOf(model, input, { pool }));
}

/** Examples a pass: whole panels, where there are any. */
function sizeOfPasses(spec: NetworkSpec, panels: PanelPlan | undefined): number {
  const size = Math.min(batchSize, passSize(spec));
  return panels ? Math.floor(size / panelWidth) * panelWidth : size;
}

/** @param panels - of products over kept weights, where those are faster */
function outputsOf(
  { spec, weights }: Model,
  input: Mat,
  { pool, panels }: { pool: Pool; panels?: PanelPlan | undefined },
): FloatTensors {
  const out = matrix(input.rows, spec.classes, zeros(input.rows * spec.classes, pool.dtype));
  const size = sizeOfPasses(spec, panels);
  for (let from = 0; from < input.rows; from += size) {
    const part = rowsOf(input, from, Math.min(from + size, input.rows));
    const call = { network: spec, weights, pool, reuse: true };
    const logits = logitsOf(panels ? { ...call, input: filledUp(part), panels } : { ...call, input: part });
    out.data.set(logits.data.subarray(0, part.rows * spec.classes), from * spec.classes);
    pool.give(logits.data);
  }
  return { [outputName]: asTensor(out) };
}

/** With examples of zeros behind, up to whole panels. */
function filledUp(part: Mat): Mat {
  const rows = Math.ceil(part.rows / panelWidth) * panelWidth;
  if (rows === part.rows) return part;
  const data = zeros(rows * part.cols, dtypeOf(part.data));
  data.set(part.data);
  return matrix(rows, part.cols, data);
}
