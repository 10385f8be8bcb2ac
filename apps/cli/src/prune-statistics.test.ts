import { join } from "node:path";
import { expect, test } from "vitest";
import { call, normedTask } from "./testing.test-support.ts";

test("says where what stands before pruning was measured under other statistics than those of the file", async () => {
  const { folder, model, data } = await normedTask();
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
