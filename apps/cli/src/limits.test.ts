/** Limits on operations, bytes and milliseconds, and units, from flags to files. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readCheckpoint } from "@secateur/formats";
import type { PruneDocument } from "@secateur/run/node";
import { defaultCosts } from "@secateur/runtime/pack";
import { describe, expect, test } from "vitest";
import { call, refused, smallTask } from "./testing.test-support.ts";

async function prune(argv: readonly string[]): Promise<PruneDocument> {
  const { code, stdout, stderr } = await call(["prune", ...argv, "--quiet", "--json"]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as PruneDocument;
}

/** The matrix of the first layer [rows, 6]. */
async function firstLayer({ out }: PruneDocument): Promise<Float32Array> {
  const { tensors } = await readCheckpoint(out);
  return tensors.find(({ shape }) => shape[1] === 6)!.data as Float32Array;
}

describe("limits", () => {
  test("on operations, bytes and milliseconds hold, alone and together with a sparsity, and are reported", async () => {
    const { model, data } = await smallTask();
    const magnitude = [model, "--data", data, "--solver", "magnitude"];
    const flops = await prune([...magnitude, "--flops", "0.5"]);
    expect(flops.limits).toEqual([{ kind: "flops", asked: 0.5, reached: 22 / 45, absolute: false, dense: 90 }]);
    expect(flops.recipe).toMatchObject({ flops: 0.5 });
    expect(flops.recipe.sparsity).toBeUndefined();
    expect(flops.out).toMatch(/magnitude-0\.5flops\.safetensors$/);
    // Layer by layer, the limit is shared out over the layers.
    const layers = await prune([...magnitude, "--flops", "0.5", "--scope", "layers", "--force"]);
    expect(layers.limits![0]!.reached).toBeLessThanOrEqual(0.5);
    const bytes = await prune([...magnitude, "--bytes", "0.9", "--sparsity", "0.2"]);
    expect(bytes.limits!.map(({ kind }) => kind)).toEqual(["weights", "bytes"]);
    for (const { asked, reached } of bytes.limits!) expect(reached).toBeLessThanOrEqual(asked + 1e-9);
    expect(bytes.limits![0]!.asked).toBe(0.8);
    const { limits, notes } = await prune([...magnitude, "--milliseconds", "1"]);
    expect(limits).toMatchObject([{ kind: "milliseconds", asked: 1, absolute: true }]);
    expect(limits![0]!.reached).toBeLessThan(1);
    expect(notes.map(({ code }) => code)).toEqual(["limits-met"]);
  });

  test("go with gradients, stages and rounds of training, and the recipe repeats the run to the same bytes", async () => {
    const { model, data } = await smallTask();
    const rounds = ["--retrain", "llr", "--retrain-epochs", "2", "--phases", "2", "--stages", "2", "--exclude", "fc2"];
    const document = await prune([model, "--data", data, "--flops", "0.6", "--examples", "20", ...rounds]);
    expect(document.limits![0]!.reached).toBeLessThanOrEqual(0.6);
    expect(document.rounds).toHaveLength(2);
    expect(document.layers[1]!.nonzeros).toBe(document.layers[1]!.size);
    const bytes = await readFile(document.out);
    await prune(["--recipe", document.out.replace(/safetensors$/, "recipe.json"), "--force"]);
    expect(await readFile(document.out)).toEqual(bytes);
  });

  test("of milliseconds by a table of costs stand in the recipe with it", async () => {
    const { model, folder } = await smallTask();
    const costs = { ...defaultCosts, number: 2 };
    const path = join(folder, "costs.json");
    await writeFile(path, JSON.stringify(costs));
    const { out } = await prune([model, "--solver", "magnitude", "--milliseconds", "1", "--costs", path]);
    const recipe = out.replace(/safetensors$/, "recipe.json");
    expect(JSON.parse(await readFile(recipe, "utf8"))).toMatchObject({ milliseconds: 1, costs });
    await rm(path);
    expect(await prune(["--recipe", recipe, "--force"])).toMatchObject({ recipe: { costs } });
    await writeFile(recipe, JSON.stringify({ recipe: 1, model, milliseconds: 1, costs: { number: 2 } }));
    expect(await refused(["prune", "--recipe", recipe])).toMatch(/'costs' that are no table.*calibrate.*ERR_RECIPE/);
  });

  test("out of reach are refused with the nearest that is not, and flags without effect as such", async () => {
    const { model, data, folder } = await smallTask();
    const said = (...more: string[]) => refused(["prune", model, "--data", data, "--solver", "magnitude", ...more]);
    expect(await said("--flops", "0.001")).toMatch(/limit of flops, 0\.001, .*nearest in reach is 0\.0\d+.*ERR_BUDGET/);
    expect(await said("--flops", "0.5", "--exclude", "fc1")).toMatch(
      /exclusions and bounds keep.*nearest in reach is 0\.\d+/,
    );
    expect(await said("--flops", "2")).toMatch(/--flops: .*at most 1/);
    expect(await said("--costs", "costs.json")).toMatch(/--costs would change nothing/);
    const layers = (...more: string[]) => said("--scope", "layers", ...more);
    expect(await layers("--milliseconds", "0.5")).toMatch(/no limit of milliseconds.*ERR_BUDGET/);
    expect(await layers("--sparsity", "0.4", "--layer-limit", "fc1=0.5")).toMatch(
      /the bound of 'fc1.weight' needs an allocation.*ERR_BUDGET/,
    );
    expect(await layers("--units", "fc1=of-every:1/2")).toMatch(/'fc2.weight' has weights; exclude it.*ERR_BUDGET/);
    const path = join(folder, "bad.recipe.json");
    await writeFile(path, JSON.stringify({ recipe: 1, model, data, units: ["blocks:4"] }));
    expect(await refused(["prune", "--recipe", path])).toMatch(/"blocks:4" in 'units'.*blocks:ROWSxCOLS.*ERR_RECIPE/);
  });
});

describe("units", () => {
  test("of every kind are kept or removed together, by name where a pattern says so", async () => {
    const { model, data } = await smallTask();
    const first = async (units: string): Promise<Float32Array> =>
      await firstLayer(
        await prune([model, "--data", data, "--solver", "magnitude", "--force", "--sparsity", "0.5", "--units", units]),
      );
    const kept = (w: Float32Array, rows: number, cols: number): number[] => {
      const counts = new Map<string, number>();
      w.forEach((value, i) => {
        const block = `${Math.floor(Math.floor(i / 6) / rows)},${Math.floor((i % 6) / cols)}`;
        counts.set(block, (counts.get(block) ?? 0) + Number(value !== 0));
      });
      return [...counts.values()];
    };
    const blocks = kept(await first("blocks:1x3"), 1, 3);
    expect(blocks.every((count) => count === 0 || count === 3)).toBe(true);
    const rows = kept(await first("fc1=rows"), 1, 6);
    expect(rows.every((count) => count === 0 || count === 6)).toBe(true);
    expect(rows).toContain(0);
    const pattern = await prune([model, "--data", data, "--solver", "magnitude", "--units", "of-every:1/3"]);
    expect(kept(await firstLayer(pattern), 1, 3)).toEqual(new Array(10).fill(1));
    expect(pattern.out).toMatch(/magnitude-1of3\.safetensors$/);
    expect(pattern.recipe).toMatchObject({ units: ["of-every:1/3"] });
    expect(pattern.limits).toBeUndefined();
  });

  test("that are none, or name no layer, are refused", async () => {
    const { model, data } = await smallTask();
    const said = (units: string) => refused(["prune", model, "--data", data, "--units", units]);
    for (const units of ["blocks:0x2", "of-every:3/2", "blocks:2/2", "fc1=", "=rows", "dots"]) {
      expect(await said(units)).toMatch(/--units: .*of-every:KEEP\/OF/);
    }
    expect(await said("conv*=rows")).toMatch(/no prunable parameter matches 'conv\*'; there are fc1\.weight/);
  });
});
