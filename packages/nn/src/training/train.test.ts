import { arrayDataset, createRng, createRunContext, type Dataset, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork } from "../network.ts";
import { oneCycle } from "./learning-rate.ts";
import { train } from "./train.ts";

/** Two noisy clusters. */
function clusters(size: number): Dataset {
  const rng = createRng("clusters");
  const labels = Array.from({ length: size }, (_, i) => i % 2);
  const inputs = matrix(
    size,
    2,
    Float32Array.from({ length: size * 2 }, (_, i) => rng.normal() + (labels[i >> 1] === 0 ? -2 : 2)),
  );
  return arrayDataset({ inputs, labels });
}

describe("train", () => {
  test("one step of gradient descent moves every weight by -rate * (mean gradient + decay * w)", async () => {
    const data = clusters(8);
    const network = createNetwork(mlp({ sizes: [2, 3, 2] }), { seed: 1 });
    const ctx = createRunContext();
    const params = network.params().map(({ name }) => name);
    const examples = Uint32Array.from({ length: 8 }, (_, i) => i);
    const { gradient } = await network.meanGradient({ params, data, examples }, ctx);
    const before = network.tensors();
    await train(
      network,
      { data, epochs: 1, batchSize: 8, learningRate: () => 0.5, momentum: 0, weightDecay: 0.1 },
      ctx,
    );
    let place = 0;
    network.tensors().forEach((after, t) => {
      const decay = after.name.endsWith("weight") ? 0.1 : 0;
      after.data.forEach((value, i) => {
        const w = before[t]!.data[i]!;
        // f32 arithmetic on numbers of order 1, and the batch is summed in another order.
        expect(Math.abs(value - (w - 0.5 * (gradient[place]! + decay * w)))).toBeLessThan(1e-6);
        place++;
      });
    });
  });

  test("learns two clusters, the same bytes every time", async () => {
    const data = clusters(200);
    const run = async () => {
      const network = createNetwork(mlp({ sizes: [2, 4, 2] }), { seed: 1 });
      const report = await train(network, { data, epochs: 5, batchSize: 16 }, createRunContext({ seed: 3 }));
      return { network, report };
    };
    const { network, report } = await run();
    expect(report.epochs.at(-1)!.loss).toBeLessThan(report.epochs[0]!.loss);
    // The clusters lie four standard deviations of their difference apart: the Bayes accuracy is 99.8 %.
    expect((await network.evaluate(data, createRunContext())).accuracy).toBeGreaterThan(97);
    expect((await run()).network.tensors()).toEqual(network.tensors());
  });

  test("a network in f64 takes data in f32, and learns what one in f32 does", async () => {
    const data = clusters(64);
    const losses = await Promise.all(
      (["f32", "f64"] as const).map(async (dtype) => {
        const network = createNetwork(mlp({ sizes: [2, 4, 2] }), { seed: 1, dtype });
        const options = { data, epochs: 2, batchSize: 16 };
        return (await train(network, options, createRunContext({ seed: 3 }))).epochs.map(({ loss }) => loss);
      }),
    );
    // Eight steps whose f32 roundings are of size 1e-7.
    losses[0]!.forEach((loss, epoch) => {
      expect(loss).toBeCloseTo(losses[1]![epoch]!, 5);
    });
  });

  test("weights whose mask is 0 are exactly zero after training, the others move", async () => {
    const network = createNetwork(mlp({ sizes: [2, 4, 2] }), { seed: 1 });
    const mask = Uint8Array.of(1, 0, 0, 1, 1, 0, 0, 0);
    const start = (await network.read("fc1.weight")).data;
    await train(
      network,
      { data: clusters(64), epochs: 3, masks: new Map([["fc1.weight", mask]]), nesterov: true },
      createRunContext(),
    );
    (await network.read("fc1.weight")).data.forEach((value, i) => {
      if (mask[i] === 0) expect(value).toBe(0);
      else expect(value).not.toBe(start[i]);
    });
  });

  test("a learning rate that diverges ends in an error that says so", async () => {
    const network = createNetwork(mlp({ sizes: [2, 4, 2] }), { seed: 1 });
    const options = { data: clusters(64), epochs: 50, learningRate: () => 1e20 };
    await expect(train(network, options, createRunContext())).rejects.toMatchObject({
      code: "ERR_DIVERGED",
      fault: "runtime",
    });
  });

  // The last as JavaScript may pass it.
  const number = { learningRate: 0.02 as never };
  test.each([{ epochs: -1 }, { batchSize: 0 }, { momentum: 1 }, { weightDecay: -1 }, number])(
    "refuses %j",
    async (options) => {
      const network = createNetwork(mlp({ sizes: [2, 2] }), { seed: 1 });
      await expect(train(network, { data: clusters(4), ...options }, createRunContext())).rejects.toMatchObject({
        code: "ERR_OPTION",
      });
    },
  );

  test("an aborted run stops with ERR_ABORTED", async () => {
    const network = createNetwork(mlp({ sizes: [2, 2] }), { seed: 1 });
    const ctx = createRunContext({ signal: AbortSignal.abort() });
    await expect(train(network, { data: clusters(4) }, ctx)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  });
});

test("oneCycle warms up over a tenth of the steps, peaks once and ends near zero", () => {
  const rates = Array.from({ length: 100 }, (_, step) => oneCycle(0.1)(step, 100));
  expect(Math.max(...rates)).toBe(0.1);
  expect(rates.indexOf(0.1)).toBe(10);
  expect(rates[0]).toBeCloseTo(0.1 / 11, 12);
  expect(rates[99]).toBeCloseTo(0.1 / 90, 12);
});
