import { createRunContext, parseOptions } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { gaussNewton } from "./gauss-newton.ts";
import { kfac } from "./kronecker/kfac.ts";
import { kroneckerGaussNewton } from "./kronecker/kronecker-gauss-newton.ts";
import { randomData, randomNetwork, requestFor } from "./network.test-support.ts";
import plugin from "./plugin.ts";
import { empiricalFisher } from "./rows/empirical-fisher.ts";

const factories = {
  "empirical-fisher": empiricalFisher,
  "gauss-newton": gaussNewton,
  kfac,
  "kronecker-gauss-newton": kroneckerGaussNewton,
};
// Weights alone: Kronecker factors are of what multiplies a layer's inputs.
const network = randomNetwork([4, 3]);
const request = {
  ...requestFor(network, randomData({ size: 9, features: 4, classes: 3 })),
  params: ["fc1.weight"],
};

describe("the plugin's manifest", () => {
  test("lists every estimator once, with a summary and a reference", () => {
    expect(plugin.entries.map(({ name }) => name)).toEqual(Object.keys(factories));
    for (const { summary, reference = "" } of plugin.entries) {
      expect(Math.min(summary.length, reference.length)).toBeGreaterThan(10);
    }
  });

  test.each(plugin.entries)(
    "$name estimates with its default options as its factory does without any",
    async (entry) => {
      if (entry.kind !== "curvature") throw new Error("every entry is a curvature");
      const options = await parseOptions(entry.name, entry.options, {});
      const byManifest = entry.create(options as never);
      const byFactory = factories[entry.name as keyof typeof factories]();
      expect([byManifest.name, byManifest.provides]).toEqual([byFactory.name, byFactory.provides]);
      const [one, other] = [
        await byManifest.estimate(request, createRunContext()),
        await byFactory.estimate(request, createRunContext()),
      ];
      expect(one.curvature().diagonal()).toEqual(other.curvature().diagonal());
      expect(one.chosen).toEqual(other.chosen);
      // It provides what it says.
      for (const view of byManifest.provides) expect(one.curvature()[view]).toBeDefined();
    },
  );

  test.each([
    ["empirical-fisher", { examples: 0 }, "examples"],
    ["empirical-fisher", { batch: 1.5 }, "batch"],
    ["empirical-fisher", { ridge: -1 }, "ridge"],
    ["empirical-fisher", { ridge: "big" }, "ridge"],
    ["empirical-fisher", { layout: "sparse" }, "layout"],
    ["gauss-newton", { temperature: 0 }, "temperature"],
    ["gauss-newton", { ridge: -1 }, "ridge"],
    ["gauss-newton", { batch: 2 }, "batch"],
    ["kronecker-gauss-newton", { share: 0 }, "share"],
    ["kronecker-gauss-newton", { batch: 2 }, "batch"],
  ])("%s refuses %j, naming it and the options there are", async (name, options, option) => {
    const entry = plugin.entries.find((candidate) => candidate.name === name)!;
    await expect(parseOptions(name, entry.options as never, options)).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(parseOptions(name, entry.options as never, options)).rejects.toThrow(
      new RegExp(`${option}.*known options: `, "s"),
    );
  });
});
