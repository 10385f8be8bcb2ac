import { arrayDataset, matrix } from "@secateur/core";
import { createNetwork, mlp, type NetworkSpec } from "@secateur/nn";
import { chita } from "@secateur/solvers-chita";
import { describe, expect, test } from "vitest";
import { plannedRun } from "../../prune/prune-network.ts";

/** 64 positions a weight: convolutional for every plan. */
const convolutional: NetworkSpec = {
  name: "one convolution",
  inputShape: [1, 8, 8],
  classes: 2,
  layers: [
    { kind: "conv2d", name: "conv", in: 1, out: 8, kernel: [3, 3], padding: 1, bias: false },
    { kind: "global-average-pool" },
    { kind: "dense", name: "last", in: 8, out: 2, bias: false },
  ],
};

const train = arrayDataset({ inputs: matrix(4, 64), labels: [0, 1, 0, 1], inputShape: [1, 8, 8] });
const job = { solver: chita(), sparsity: 0.9, plan: {}, train };

describe("the plan of a run asks for a curvature that the model can give", () => {
  test("Kronecker factors only where it has second moments of its layers", async () => {
    const network = createNetwork(convolutional);
    expect((await plannedRun({ ...job, network })).curvature).toBe("kronecker-gauss-newton");
    const { layerMoments: _without, ...plain } = network;
    expect((await plannedRun({ ...job, network: plain })).curvature).toBe("empirical-fisher");
  });

  test("products with the Jacobian only where it has them, unless the user insists", async () => {
    const network = createNetwork(mlp({ sizes: [64, 8, 2] }));
    expect((await plannedRun({ ...job, network })).curvature).toBe("gauss-newton");
    const { linearize: _without, ...plain } = network;
    // Second moments are the cheaper of the two that are left.
    expect((await plannedRun({ ...job, network: plain })).curvature).toBe("kronecker-gauss-newton");
    const { layerMoments: _too, ...least } = plain;
    expect((await plannedRun({ ...job, network: least })).curvature).toBe("empirical-fisher");
    const asked = { ...job, network: plain, plan: { curvature: "gauss-newton" } };
    expect((await plannedRun(asked)).curvature).toBe("gauss-newton");
  });
});
