import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  arrayDataset,
  createRng,
  createRunContext,
  matrix,
  prune,
  type RunState,
  type StateTensor,
} from "@secateur/core";
import { encodeSafetensors, writeFileAtomic } from "@secateur/formats";
import { impPhases } from "@secateur/imp-scheduler";
import { createNetwork, createRetrainer, mlp } from "@secateur/nn";
import { magnitude } from "@secateur/solvers-magnitude";
import { expect, onTestFinished, test } from "vitest";
import { readState, writeState } from "./run-state-file.ts";

test("every state of a run comes back from its file as it was", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-run-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "state.resume.safetensors");
  const rng = createRng(1);
  const inputs = matrix(
    40,
    4,
    Float32Array.from({ length: 160 }, () => rng.normal()),
  );
  const data = arrayDataset({ inputs, labels: Array.from({ length: 40 }, (_, i) => i % 2) });
  const network = createNetwork(mlp({ sizes: [4, 6, 2] }));
  let kinds = 0;
  await prune({
    model: network,
    solver: magnitude(),
    plan: { stages: 2 },
    retrain: {
      retrainer: createRetrainer(network, { data, batchSize: 8 }),
      phases: impPhases({
        ...{ sparsities: [0.3, 0.6], epochs: 4, schedule: "clr" },
        dense: { rates: [0.1, 0.01], epochs: 2 },
      }).map((phase) => ({ ...phase, keepsMomentum: true })),
      schedule: "clr",
      earlyStopping: { patience: 9, evaluate: () => network.evaluate(data, createRunContext()) },
      measure: () => network.evaluate(data, createRunContext()),
    },
    async onState(state) {
      const { open, trained } = state.training!;
      kinds |= (state.stage % 2 === 1 ? 1 : 0) | (open?.training ? 2 : 0) | (trained ? 4 : 0);
      await writeState(path, { state, run: "{}", elapsedMs: 7 });
      const { state: found, elapsedMs } = await readState(path, "{}");
      expect(elapsedMs).toBe(7);
      expect(sorted(found)).toEqual(sorted(state));
    },
  });
  expect(kinds).toBe(7); // all kinds were there
  await expect(readState(path, '{"seed":1}')).rejects.toThrow(/another run/);
});

test("a state in the layout of an earlier version is told from a file that is none, and refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-run-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "state.resume.safetensors");
  const written = async (key: string): Promise<void> =>
    await writeFileAtomic(path, encodeSafetensors({ tensors: [], metadata: { [key]: "{}" } }), { overwrite: true });
  for (const key of ["secateur.state", "secateur.phases"]) {
    await written(key);
    await expect(readState(path, "{}")).rejects.toMatchObject({
      code: "ERR_RESUME",
      message: expect.stringMatching(/earlier version.*start afresh without --resume and with --force/),
    });
  }
  await written("other");
  await expect(readState(path, "{}")).rejects.toThrow(/not the state of a run/);
});

/** The state with its tensors by name: files keep them in an order of their own. */
function sorted({ training, ...state }: RunState): unknown {
  if (!training) return state;
  const byName = <T extends { readonly tensors: readonly StateTensor[] }>(one: T | undefined): T | undefined =>
    one && { ...one, tensors: [...one.tensors].sort((a, b) => (a.name < b.name ? -1 : 1)) };
  const { open, trained, ...rest } = training;
  const under = open && { ...open, training: byName(open.training), stopping: byName(open.stopping) };
  return { ...state, training: { ...byName(rest), trained: byName(trained), open: under } };
}

/** A state of a training that failed, for a task without accuracy, in f64. */
const failed: RunState = {
  ...{ stage: 1, weights: Float32Array.of(1, 0), mask: Uint8Array.of(1, 0), fingerprint: "{}", reports: [] },
  training: {
    ...{ rounds: [], mask: Uint8Array.of(1, 1) },
    tensors: [{ name: "w", shape: [2], data: Float64Array.of(0.1, 1e300) }],
    open: {
      round: {
        before: { accuracy: Number.NaN, loss: 2, examples: 1, task: "regression", measures: [] },
        ...{ pruningDistance: 0, stages: 1, pruneMs: 0, retrainMs: 0, notes: [] },
        ...{ normBefore: 1, normAfter: 1, prunedFraction: Number.NEGATIVE_INFINITY },
      },
      stopping: { losses: [Number.POSITIVE_INFINITY, 3], best: 1, tensors: [] },
    },
  },
};

test("numbers that are not finite and those of f64 come back as they were", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-run-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "state.resume.safetensors");
  await writeState(path, { state: failed, run: "{}", elapsedMs: 0 });
  expect((await readState(path, "{}")).state).toEqual(failed);
});

test.each([
  "{",
  "[]",
  '{"version":2,"run":"{}","elapsedMs":0}',
  '{"version":2,"run":"{}","elapsedMs":0,"state":{"stage":1,"fingerprint":""}}',
  '{"version":2,"run":"{}","elapsedMs":0,"state":{"stage":1,"fingerprint":"","reports":[],"training":null}}',
])("a state that lacks a part is refused as damaged: %s", async (header) => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-run-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "state.resume.safetensors");
  await writeFileAtomic(path, encodeSafetensors({ tensors: [], metadata: { "secateur.run": header } }), {
    overwrite: true,
  });
  await expect(readState(path, "{}")).rejects.toMatchObject({ code: "ERR_RESUME" });
});
