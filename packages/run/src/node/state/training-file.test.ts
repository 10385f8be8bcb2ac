import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readTraining, writeTraining } from "./training-file.ts";

test("a training with other settings is told setting by setting, those of its rules too", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-training-"));
  try {
    const path = join(folder, "net.training.safetensors");
    const run = (epochs: number, every: number): string =>
      JSON.stringify({
        arch: "mlp",
        epochs,
        rules: [{ name: "gmp", settings: JSON.stringify({ every, until: 0.75 }) }],
      });
    await writeTraining(path, { epoch: 1, epochs: [], tensors: [] }, run(2, 5));
    expect((await readTraining(path, run(2, 5))).epoch).toBe(1);
    // What a rule remembers may be f64, and 0.1 is another number in f32.
    const tensors = [{ name: "rule.admm/u", shape: [1], data: Float64Array.of(0.1) }];
    await writeTraining(path, { epoch: 1, epochs: [], tensors }, run(2, 5));
    expect((await readTraining(path, run(2, 5))).tensors).toEqual(tensors);
    await expect(readTraining(path, run(3, 4))).rejects.toThrow(
      /other settings: epochs was 2 and is 3, every was 5 and is 4; repeat the command/,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
