/**
 * Statistics of batch normalisation of ONNX and TensorFlow.js models: matched to those of the dense model, which needs no random changes of
 * images. Matching usually helps a lot, but not every network: where most normalisations are folded into their convolutions, a few
 * matched ones can do harm. Unless it was asked for, the loss of training examples decides.
 */
import { createHash } from "node:crypto";
import {
  type Dataset,
  isPruneError,
  quietContext,
  type RunContext,
  sampleIndices,
  subset,
  type Vec,
} from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { PosedTask } from "../../prune/pose-task.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import type { Session } from "../../session.ts";
import type { BatchNormSettings, Remeasure } from "./batch-norm.ts";

/** Of a model whose statistics can be matched to those it had. */
export interface MatchableModel {
  readonly network: PrunableModel;
  /** Measures the statistics of the model as it is. */
  measure(data: Dataset, ctx: RunContext): Promise<Matcher>;
}

/** What can be done once the statistics of the dense model are known. */
export interface Matcher {
  /** Brings the statistics of the model as it is then back to them, on the same examples. */
  match(ctx: RunContext): Promise<void>;
  /** Brings back those that the file has, or that were kept. */
  restore(): void;
  /** Keeps those of now: the weights were trained with them. Absent for a model that does not train. */
  keep?(): void;
  /** Everything but the statistics that a run may have changed, by name. Absent: the parameters of the network. */
  numbers?(): Iterable<readonly [name: string, values: Vec]>;
}

/** Training examples whose loss decides. */
const mostJudged = 128;
/** What the loss has to fall to, as a share, for statistics to be matched: they were fitted on these very examples, so a smaller fall says nothing of others. */
const worthMatching = 0.95;

/** The loss of training examples, of which the targets were taken from the dense network where they are the task's. */
export interface NormJudge {
  readonly examples: number;
  /** Infinite where outputs are not finite. */
  loss(network: PrunableModel, ctx: RunContext): Promise<number>;
}

/** Takes the examples and their targets now: for the dense network. */
export async function normJudge(
  { train }: Pick<DatasetSplits, "train">,
  { task, withTeacher }: Pick<PosedTask, "task" | "withTeacher">,
  { rng }: Pick<RunContext, "rng">,
): Promise<NormJudge> {
  const count = Math.min(mostJudged, train.size);
  const judged = await withTeacher(subset(train, sampleIndices(train.size, count, rng.fork("matched statistics"))));
  return {
    examples: judged.size,
    async loss(network, ctx) {
      try {
        return (await network.evaluate(judged, ctx, { task })).loss;
      } catch (error) {
        // Outputs that overflow are a reason to take the other statistics, not to end the run.
        if (isPruneError(error) && error.code === "ERR_NOT_FINITE") return Number.POSITIVE_INFINITY;
        throw error;
      }
    },
  };
}

/** Losses with the statistics of the file, and matched, and which were taken. */
interface Decision {
  readonly kept: number;
  readonly matched: number;
  readonly isMatched: boolean;
}

/**
 * The measurements of a run.
 *
 * @param spec.settings - undefined or "never" and "before": nothing is done; "auto": statistics are matched where the loss of the judge falls by it;
 *   "after" and "both": they are matched
 * @param spec.judge - the one to ask; read when statistics are matched, so it may be made after `before`
 */
export function matching(spec: {
  model: MatchableModel | undefined;
  data: Pick<DatasetSplits, "train">;
  settings: BatchNormSettings | undefined;
  session: Session;
  judge: () => NormJudge | undefined;
  /** Whether the run ends with a training, under statistics of its own: with "auto" those stay. Default false. */
  isTrained?: boolean;
}): Remeasure & { readonly trained?: () => void } {
  const { model, data, settings, session, judge, isTrained = false } = spec;
  const { when = "never" } = settings ?? {};
  if (!model || when === "never" || when === "before")
    return { before: async () => false, restore: () => {}, after: async () => {} };
  let matcher: Matcher;
  // A run comes back to the same weights: the last candidate is often the one it ends with.
  const decided = new Map<string, Decision>();
  // Undefined where no loss decides.
  const recalibrate = async (ctx: RunContext): Promise<Decision | undefined> => {
    const judged = when === "auto" ? judge() : undefined;
    // The same examples every time, whichever random numbers the stages between have drawn.
    const quiet = quietContext({ ...session.context(), signal: ctx.signal });
    if (!judged) {
      await matcher.match(quiet);
      return undefined;
    }
    matcher.restore();
    const key = await hashOf(model.network, matcher);
    const known = decided.get(key);
    if (known) {
      if (known.isMatched) await matcher.match(quiet);
      return known;
    }
    const kept = await judged.loss(model.network, quiet);
    await matcher.match(quiet);
    const matched = await judged.loss(model.network, quiet);
    // A loss that is not finite is worse than any that is.
    const isMatched = matched < worthMatching * kept || (Number.isFinite(matched) && !Number.isFinite(kept));
    if (!isMatched) matcher.restore();
    const decision = { kept, matched, isMatched };
    decided.set(key, decision);
    return decision;
  };
  return {
    async before() {
      matcher = await model.measure(data.train, session.context());
      return false;
    },
    restore: () => matcher.restore(),
    recalibrate: async (ctx) => void (await recalibrate(ctx)),
    trained: () => matcher.keep?.(),
    async after() {
      if (isTrained && when === "auto") return;
      const losses = await recalibrate(session.context());
      const examples = judge()?.examples;
      if (!losses || losses.matched === losses.kept) return;
      const [kept, matched] = [losses.kept, losses.matched].map((loss) => loss.toPrecision(3));
      const count = `${examples} training examples`;
      const message = losses.isMatched
        ? `statistics of batch normalisation are matched to the dense network's: the loss of ${count} is ${matched} with them, ${kept} with those of the file`
        : `statistics of batch normalisation stay those of the file: the loss of ${count} is ${kept} with them, ${matched} matched to the dense network's${losses.matched < losses.kept ? ", less than 5 % lower, which may not hold for other examples" : ""} (--reestimate-batch-norm both matches them all the same)`;
      session.onEvent({ type: "note", level: "info", code: "batch-norm", message });
    },
  };
}

/** SHA-256 of everything the loss depends on beside the statistics. */
async function hashOf(network: PrunableModel, matcher: Matcher): Promise<string> {
  const hash = createHash("sha256");
  const add = (name: string, { buffer, byteOffset, byteLength }: Vec): void => {
    hash.update(JSON.stringify(name)).update(new Uint8Array(buffer, byteOffset, byteLength));
  };
  if (matcher.numbers) for (const [name, values] of matcher.numbers()) add(name, values);
  else for (const { name } of network.params()) add(name, (await network.read(name)).data);
  return hash.digest("hex");
}
