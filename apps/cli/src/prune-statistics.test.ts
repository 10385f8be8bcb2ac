import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors } from "@secateur/formats";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { call, smallTask } from "./testing.test-support.ts";

test("says where what stands before pruning was measured under other statistics than those of the file", async () => {
  const { folder, data } = await smallTask();
  const net = {
    ...{ name: "normed", inputShape: [6], classes: 3 },
    layers: [
      { kind: "dense", name: "fc1", in: 6, out: 5 },
      { kind: "batch-norm", name: "bn", channels: 5 },
      { kind: "relu" },
      { kind: "dense", name: "fc2", in: 5, out: 3 },
      { kind: "log-softmax" },
    ],
  } satisfies NetworkSpec;
  const tensors = createNetwork(net, { seed: 3 })
    .tensors()
    .map(({ name, shape, data }) => ({ name, shape, dtype: "f32" as const, data: Float32Array.from(data) }));
  const model = join(folder, "normed.safetensors");
  await writeFile(model, encodeSafetensors({ tensors, metadata: { "secateur.architecture": JSON.stringify(net) } }));
  for (const [when, isAnew] of [
    ["both", true],
    ["after", false],
  ] as const) {
    const argv = ["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.5", "--force"];
    const flags = [...argv, "--reestimate-batch-norm", when, "--out", join(folder, "out.safetensors")];
    const { stdout } = await call(flags);
    expect(stdout).toMatch(isAnew ? /before, statistics measured anew +after/ : / before +after/);
    const document = JSON.parse((await call([...flags, "--json"])).stdout) as { remeasured?: boolean };
    expect(document.remeasured).toBe(isAnew ? true : undefined);
  }
});
