import { expect, test } from "vitest";
import type { Stage } from "../stages/stage.ts";
import { assertResumable, type RunState } from "./run-state.ts";

const stage: Stage = {
  ...{ sparsity: 0.5, scope: { kind: "network" }, prunes: true, regrow: true, regrowFraction: 0 },
  accept: { lineSearch: false, tryMagnitude: false },
};
const trained: Stage = { ...stage, prunes: false, train: { epochs: 1, keepsMomentum: false } };
const plain: RunState = {
  ...{ stage: 1, weights: new Float32Array(2), mask: new Uint8Array(2), fingerprint: "", reports: [] },
};
const training = { rounds: [], tensors: [], mask: new Uint8Array(2) };
const run = { fingerprint: "", prunable: 2, stages: [trained, trained], isTrained: true };

test("a state whose parts contradict each other or the run is refused", () => {
  expect(() => assertResumable({ ...plain, training }, run)).not.toThrow();
  const refused: readonly [RunState, RegExp][] = [
    [plain, /of a run without training/],
    [{ ...plain, training: { ...training, mask: new Uint8Array(3) } }, /0 rounds and a mask of 3 entries/],
    [{ ...plain, stage: 2, training }, /0 rounds .* 2 trainings have begun/],
    [{ ...plain, training, mask: new Uint8Array(1) }, /it holds 2 weights/],
  ];
  for (const [state, message] of refused) {
    expect(() => assertResumable(state, run)).toThrow(expect.objectContaining({ code: "ERR_RESUME" }));
    expect(() => assertResumable(state, run)).toThrow(message);
  }
  expect(() => assertResumable({ ...plain, training }, { ...run, isTrained: false })).toThrow(/with training/);
});
