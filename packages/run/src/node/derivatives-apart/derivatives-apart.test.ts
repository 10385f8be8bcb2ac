import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  arrayDataset,
  classification,
  createRunContext,
  referenceKernels as kernels,
  matrix,
  PruneError,
} from "@secateur/core";
import { encodeSafetensors } from "@secateur/formats";
import { type Executor, openStore } from "@secateur/jobs";
import { createNetwork, mlp } from "@secateur/nn";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Session } from "../../session.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import { rowShare, spreadModel } from "./derivatives-apart.ts";
import { decodeExamples, encodeExamples } from "./portable-examples.ts";
import { decodeRows, encodeRows, joinRows } from "./portable-rows.ts";

describe("a share of rows", () => {
  test("is whole passes and whole rows, whichever is more", () => {
    expect(rowShare({ pass: 2048, batch: 1, numbers: 10, examples: 5000 })).toBe(2048);
    // A graph that takes one example at a time: 63 of 4,000 would cut a row of four.
    expect(rowShare({ pass: 1, batch: 4, numbers: 10, examples: 4000 })).toBe(64);
    expect(rowShare({ pass: 80, batch: 16, numbers: 10, examples: 64_000 })).toBe(80 * 13);
  });

  test("is at most a GiB, and never ends where a pass is more", () => {
    const numbers = 2 ** 20;
    expect(rowShare({ pass: 16, batch: 1, numbers, examples: 64_000 })).toBe(128);
    expect(rowShare({ pass: 256, batch: 1, numbers, examples: 64_000 })).toBe(Number.POSITIVE_INFINITY);
  });
});

const data = arrayDataset({
  inputs: matrix(
    6,
    3,
    Float32Array.from({ length: 18 }, (_, i) => Math.sin(i + 1)),
  ),
  labels: [0, 1, 2, 0, 1, 2],
  classes: 3,
});

test("examples keep their places, so that what is wrong with one is told of the same one", async () => {
  const bytes = await encodeExamples(data, Uint32Array.of(5, 1, 4));
  const { data: some, places } = decodeExamples(bytes);
  expect([...places]).toEqual([5, 1, 4]);
  expect(await some.batch(places)).toEqual(await data.batch(places));
  expect({ ...some, batch: 0, size: 0 }).toEqual({ ...data, batch: 0, size: 0 });
  const network = createNetwork(mlp({ sizes: [3, 3] }), { seed: 1 });
  const weights = network.weights.get("fc1.weight")!;
  weights.data.fill(Number.MAX_VALUE);
  const asked = { params: ["fc1.weight"], examples: places, batch: 1 };
  const told = async (of: typeof data): Promise<string> =>
    await network.gradientRows({ ...asked, data: of }, createRunContext({ kernels })).then(
      () => "nothing is wrong",
      (error: Error) => error.message,
    );
  expect(await told(some)).toBe(await told(data));
  expect(await told(data)).toContain("5");
});

test("rows of shares are those of all, factors and losses too", async () => {
  const network = createNetwork(mlp({ sizes: [3, 4, 3] }), { seed: 2 });
  const ctx = createRunContext({ kernels });
  const params = ["fc1.weight", "fc1.bias", "fc2.weight"];
  const take = (examples: Uint32Array) => network.gradientRows({ params, data, examples, batch: 2 }, ctx);
  const all = Uint32Array.from({ length: 6 }, (_, i) => i);
  const [first, second] = [await take(all.slice(0, 4)), await take(all.slice(4))];
  async function* shares() {
    for (const { blocks, sums } of [first, second]) yield { blocks: decodeRows(encodeRows({ blocks })), sums: sums! };
  }
  const joined = await joinRows({ rows: 3, rowsOf: (share) => (share === 0 ? 2 : 1), shares: shares() }, kernels);
  const { blocks, loss } = await take(all);
  expect(joined.blocks).toEqual(blocks);
  // One pass adds its losses up in another order than two do.
  expect(joined.loss).toBeCloseTo(loss, 12);
  expect(joined.sums).toEqual([...first.sums!, ...second.sums!]);
});

test("where the job of a share fails, the others are called off", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-shares-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "net.safetensors");
  const network = createNetwork(mlp({ sizes: [3, 3] }), { seed: 1 });
  const tensors = network
    .tensors()
    .map((one) => ({ ...one, dtype: "f32" as const, data: Float32Array.from(one.data) }));
  await writeFile(path, encodeSafetensors({ tensors, metadata: { "secateur.architecture": "mlp:3-3" } }));
  const { signal } = new AbortController();
  const session: Session = {
    ...{ kernels, kernelChoice: "reference", seed: 0, signal, onEvent: () => {} },
    context: () => createRunContext({ kernels }),
  };
  const opened = await openAnyModel({ path, arch: undefined, engine: undefined, cwd: folder, onEvent: () => {} });
  // Three passes.
  const model = { ...opened, network: { ...opened.network, passExamples: async () => 2 } };
  const settings = { model: path, batchNorm: {}, plan: {} } as unknown as PruneSettings;
  const spread = spreadModel({ settings, model, cwd: folder, session });
  const ended: string[] = [];
  const executor: Executor = {
    async submit({ label }, around) {
      if (label.includes("1 to 2")) throw new PruneError("ERR_TEST", "this share fails", {});
      await new Promise<void>((resolve) => around.signal.addEventListener("abort", () => resolve()));
      ended.push(label);
      throw new PruneError("ERR_ABORTED", "called off", {});
    },
    close: async () => {},
  };
  const store = await openStore(join(folder, "store"));
  await spread.begin({ store, executor: async () => executor, close: async () => {} });
  const task = classification();
  spread.judgeBy(task);
  const examples = Uint32Array.from({ length: 6 }, (_, i) => i);
  const asked = { params: ["fc1.weight"], data, examples, batch: 1, task };
  await expect(spread.model.network.gradientRows!(asked, session.context())).rejects.toMatchObject({
    code: "ERR_TEST",
  });
  await expect.poll(() => ended.length).toBe(2);
});
