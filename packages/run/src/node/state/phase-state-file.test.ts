import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { arrayDataset, createRng, createRunContext, matrix } from "@secateur/core";
import { impPhases, type PhaseState, retrainInPhases } from "@secateur/imp-scheduler";
import { createNetwork, createRetrainer, mlp } from "@secateur/nn";
import { magnitude } from "@secateur/solvers-magnitude";
import { expect, onTestFinished, test } from "vitest";
import { readPhases, writePhases } from "./phase-state-file.ts";

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
  await retrainInPhases({
    model: network,
    solver: magnitude(),
    retrainer: createRetrainer(network, { data, batchSize: 8 }),
    phases: impPhases({
      ...{ sparsities: [0.3, 0.6], epochs: 4, schedule: "clr" },
      dense: { rates: [0.1, 0.01], epochs: 2 },
    }).map((phase) => ({ ...phase, keepsMomentum: true })),
    schedule: "clr",
    plan: { stages: 2 },
    earlyStopping: { patience: 9, evaluate: () => network.evaluate(data, createRunContext()) },
    measure: () => network.evaluate(data, createRunContext()),
    async onState(state: PhaseState) {
      kinds |= (state.pruning ? 1 : 0) | (state.open?.training ? 2 : 0) | (state.trained ? 4 : 0);
      await writePhases(path, { state, run: "{}", elapsedMs: 7 });
      const { state: found, elapsedMs } = await readPhases(path, "{}");
      expect(elapsedMs).toBe(7);
      expect(sorted(found)).toEqual(sorted(state));
    },
  });
  expect(kinds).toBe(7); // all kinds were there
  await expect(readPhases(path, '{"seed":1}')).rejects.toThrow(/another run/);
});

/** The state with its tensors by name: files keep them in an order of their own. */
function sorted(state: PhaseState): unknown {
  const order = (key: string, value: unknown): unknown =>
    key === "tensors"
      ? [...(value as { name: string; data: ArrayLike<number> }[])]
          .map(({ data, ...rest }) => ({ ...rest, data: Array.from(data) }))
          .sort((a, b) => (a.name < b.name ? -1 : 1))
      : value;
  return JSON.parse(JSON.stringify(state, order));
}
