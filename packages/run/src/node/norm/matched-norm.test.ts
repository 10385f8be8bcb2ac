import {
  arrayDataset,
  classification,
  createRunContext,
  matrix,
  PruneError,
  type RunEvent,
  referenceKernels,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { ReestimateTime } from "../../prune/augmentation.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import type { Session } from "../../session.ts";
import { matching, normJudge } from "./matched-norm.ts";

const size = 200;
const train = arrayDataset({
  inputs: matrix(size, 1, new Float32Array(size)),
  labels: new Uint32Array(size),
  classes: 2,
});

/** What changes between the judgement under way and the one at the end. */
interface Changed {
  weight?: number;
  bias?: number;
}

/** A model whose loss is told by its statistics: those of the file, or matched ones. */
async function run(losses: { file: number; matched: number }, when: ReestimateTime, changed: Changed = {}) {
  const weights = Float32Array.of(1, 2);
  const biases = Float32Array.of(3);
  let now: "file" | "matched" = "file";
  const judgedOn: number[] = [];
  const network = {
    evaluate: async (data: { size: number }) => {
      judgedOn.push(data.size);
      // As core's evaluation does of outputs that are not finite.
      if (Number.isNaN(losses[now])) throw new PruneError("ERR_NOT_FINITE", "its output is not finite");
      return { loss: losses[now] };
    },
  } as unknown as PrunableModel;
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent): void => void events.push(event);
  const session: Session = {
    ...{ kernels: referenceKernels, kernelChoice: "reference", seed: 0, signal: new AbortController().signal },
    ...{ onEvent, context: () => createRunContext({ onEvent }) },
  };
  const judge = await normJudge(
    { train },
    { task: classification(), withTeacher: async (data) => data },
    session.context(),
  );
  const { before, recalibrate, after } = matching({
    model: {
      network,
      measure: async () => ({
        match: async () => {
          now = "matched";
        },
        restore: () => {
          now = "file";
        },
        numbers: () => [
          ["w", weights],
          ["bias", biases],
        ],
      }),
    },
    data: { train },
    settings: { when },
    session,
    judge: () => judge,
  });
  await before();
  await recalibrate?.(session.context());
  const underWay = now;
  if (changed.weight !== undefined) weights[1] = changed.weight;
  if (changed.bias !== undefined) biases[0] = changed.bias;
  now = "file";
  await after();
  const notes = events.flatMap((event) => (event.type === "note" ? [event.message] : []));
  return { underWay, after: now, judgedOn, notes };
}

test("after a training the statistics it was done with stand against matched ones, and those that the last one ends with stay", async () => {
  const kernels = referenceKernels;
  const onEvent = (): void => {};
  const context = () => createRunContext({ onEvent });
  const session: Session = {
    kernels,
    kernelChoice: "reference",
    seed: 0,
    signal: new AbortController().signal,
    onEvent,
    context,
  };
  for (const [matchedLoss, expected] of [
    [3, "trained"],
    [1, "matched"],
  ] as const) {
    let now = "file";
    let kept = "file";
    const losses: Record<string, number> = { file: 9, matched: matchedLoss, trained: 2 };
    const network = { evaluate: async () => ({ loss: losses[now]! }) } as unknown as PrunableModel;
    const judge = await normJudge({ train }, { task: classification(), withTeacher: async (data) => data }, context());
    const { before, recalibrate, trained, after } = matching({
      model: {
        network,
        measure: async () => ({
          match: async () => {
            now = "matched";
          },
          restore: () => {
            now = kept;
          },
          keep: () => {
            kept = now;
          },
          numbers: () => [["w", Float32Array.of(kept.length)]],
        }),
      },
      ...{ data: { train }, settings: { when: "auto" }, session, judge: () => judge, isTrained: true },
    });
    await before();
    await recalibrate!(context());
    expect(now).toBe("matched");
    // What the training was done with, whatever the file has.
    now = "trained";
    trained!();
    now = "matched";
    await recalibrate!(context());
    expect(now).toBe(expected);
    now = "of the last training";
    await after();
    expect(now).toBe("of the last training");
  }
});

describe("statistics of batch normalisation of models of other layers", () => {
  test("are matched by default where the loss of training examples falls by it, and a note says so", async () => {
    const { underWay, after, judgedOn, notes } = await run({ file: 2, matched: 1 }, "auto");
    expect([underWay, after]).toEqual(["matched", "matched"]);
    // Both losses, on the most examples that are judged by.
    expect(judgedOn).toEqual([128, 128]);
    expect(notes).toEqual([expect.stringContaining("matched to the dense network's: the loss of 128 training")]);
  });

  test("are judged once for the same weights and biases, and again for others", async () => {
    for (const [changed, times] of [
      [{}, 2],
      [{ weight: 5 }, 4],
      [{ bias: 5 }, 4],
    ] as const) {
      const { after, judgedOn } = await run({ file: 2, matched: 1 }, "auto", changed);
      expect([after, judgedOn.length]).toEqual(["matched", times]);
    }
  });

  test("stay those of the file where it would rise, and where it would not be finite", async () => {
    // 1.95 is lower, but by so little that other examples may say otherwise.
    for (const matched of [3, 1.95, Number.NaN, Number.POSITIVE_INFINITY]) {
      const { underWay, after, notes } = await run({ file: 2, matched }, "auto");
      expect([underWay, after]).toEqual(["file", "file"]);
      expect(notes).toEqual([expect.stringContaining("stay those of the file")]);
    }
    expect((await run({ file: Number.NaN, matched: Number.POSITIVE_INFINITY }, "auto")).after).toBe("file");
    // Nothing to keep: the matched ones may be the way back.
    expect((await run({ file: Number.NaN, matched: 3 }, "auto")).after).toBe("matched");
  });

  test("are matched unseen where that was asked for, and left alone where nothing was", async () => {
    for (const when of ["after", "both"] as const) {
      const { after, judgedOn, notes } = await run({ file: 2, matched: 3 }, when);
      expect([after, judgedOn, notes]).toEqual(["matched", [], []]);
    }
    for (const when of ["never", "before"] as const) {
      expect((await run({ file: 2, matched: 1 }, when)).after).toBe("file");
    }
  });
});
