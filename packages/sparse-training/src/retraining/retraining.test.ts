import {
  arrayDataset,
  createRng,
  createRunContext,
  forkContext,
  matrix,
  type Retrainer,
  type RetrainingState,
} from "@secateur/core";
import { createNetwork, createRetrainer, mlp, type Network } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { gmp } from "../rules/gmp.ts";
import { averaged } from "./averaged.ts";
import { soup, type TrainMember } from "./soup.ts";

const rng = createRng("soup");
const inputs = matrix(
  24,
  4,
  Float32Array.from({ length: 96 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: Array.from({ length: 24 }, (_, i) => Number(inputs.data[4 * i]! > 0)) });
const mask = Uint8Array.from({ length: 24 }, (_, i) => i % 3);
const masks = new Map([["fc1.weight", mask.map((bit) => Math.min(bit, 1))]]);
const epochs = 3;
const context = () => createRunContext({ seed: 7 });

function fresh(): { network: Network; retrainer: Retrainer } {
  const network = createNetwork(mlp({ sizes: [4, 6, 2] }), { seed: 3 });
  return { network, retrainer: createRetrainer(network, { data, batchSize: 8 }) };
}
const request = { epochs, masks, learningRate: () => 0.05 };

/** Tensors of a network trained by itself, with the member's own draws. */
async function member(index: number): Promise<readonly (readonly number[])[]> {
  const { network, retrainer } = fresh();
  await retrainer.retrain(request, forkContext(context(), `soup ${index}`));
  return network.tensors().map((tensor) => [...tensor.data]);
}

const numbersOf = (network: Network): number[][] => network.tensors().map((tensor) => [...tensor.data]);
const meanOf = (all: readonly (readonly (readonly number[])[])[]): number[][] =>
  all[0]!.map((tensor, t) =>
    tensor.map((_, i) => Math.fround(all.reduce((sum, one) => sum + one[t]![i]!, 0) / all.length)),
  );

/** A listener that keeps what it sees. */
function seenIn<T>(list: T[], see: (state: RetrainingState) => T): (state: RetrainingState) => "go on" {
  return (state) => {
    list.push(see(state));
    return "go on";
  };
}

describe("soup", () => {
  test("is the mean of its members, each trained from the same start, and has their zeros", async () => {
    const { network, retrainer } = fresh();
    await soup(retrainer, 3).retrain(request, context());
    const members = [await member(0), await member(1), await member(2)];
    expect(members[0]).not.toEqual(members[1]);
    expect(numbersOf(network)).toEqual(meanOf(members));
    network.tensors()[0]!.data.forEach((value, i) => {
      if (i % 3 === 0) expect(value).toBe(0);
    });
  });

  test("members that are trained elsewhere, whichever ends first, give the same mean and state", async () => {
    const alone = fresh();
    const end = await soup(alone.retrainer, 3).retrain(request, context());
    const { network, retrainer } = fresh();
    const trainMember: TrainMember = async (one) => {
      const other = fresh();
      await new Promise((resolve) => setTimeout(resolve, 5 * (3 - one.member)));
      await other.retrainer.restore(one.start);
      // Elsewhere a path is all that is known of random numbers.
      const state = await other.retrainer.retrain(one.request, { ...one.ctx, rng: createRng(one.ctx.rng.path) });
      return { model: other.retrainer.capture(), state };
    };
    expect(await soup(retrainer, 3, { trainMember }).retrain(request, context())).toEqual(end);
    expect(network.tensors()).toEqual(alone.network.tensors());
  });

  test("a member that fails elsewhere ends the others, and its error is told", async () => {
    const { network, retrainer } = fresh();
    const before = numbersOf(network);
    let ended = 0;
    const trainMember: TrainMember = async ({ member: place, ctx }) => {
      if (place === 1) throw new Error("no room");
      return await new Promise((_resolve, reject) => {
        ctx.signal.addEventListener("abort", () => {
          ended += 1;
          reject(new Error("called off"));
        });
      });
    };
    await expect(soup(retrainer, 3, { trainMember }).retrain(request, context())).rejects.toThrow("no room");
    expect(ended).toBe(2);
    expect(numbersOf(network)).toEqual(before);
  });

  test("goes on from the state after any epoch of any member to the same bytes", async () => {
    const { network, retrainer } = fresh();
    const states: RetrainingState[] = [];
    const whole = soup(retrainer, 2);
    await whole.retrain({ ...request, onEpoch: seenIn(states, (state) => state) }, context());
    expect(states.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 1, 2, 3]);
    for (const resume of states) {
      const again = fresh();
      await soup(again.retrainer, 2).retrain({ ...request, resume }, context());
      expect(again.network.tensors()).toEqual(network.tensors());
    }
  });
});

describe("averaged", () => {
  test("is the mean of the network after each of the last epochs", async () => {
    const after: number[][][] = [];
    const plain = fresh();
    await plain.retrainer.retrain({ ...request, onEpoch: seenIn(after, () => numbersOf(plain.network)) }, context());
    const { network, retrainer } = fresh();
    await averaged(retrainer, 2).retrain(request, context());
    expect(numbersOf(network)).toEqual(meanOf(after.slice(1)));
  });

  test("goes on from the state after any epoch to the same bytes, also within a soup", async () => {
    const make = (retrainer: Retrainer): Retrainer => soup(averaged(retrainer, 2), 2);
    const { network, retrainer } = fresh();
    const states: RetrainingState[] = [];
    await make(retrainer).retrain({ ...request, onEpoch: seenIn(states, (state) => state) }, context());
    for (const resume of states) {
      const again = fresh();
      await make(again.retrainer).retrain({ ...request, resume }, context());
      expect(again.network.tensors()).toEqual(network.tensors());
    }
  });
});

test("numbers that make no mean, and rules, are refused", async () => {
  const { retrainer } = fresh();
  expect(() => soup(retrainer, 1)).toThrow(/members/);
  expect(() => averaged(retrainer, 0)).toThrow(/last/);
  const ruled = { ...request, rules: [gmp({ sparsity: 0.5 })] };
  await expect(soup(retrainer, 2).retrain(ruled, context())).rejects.toThrow(/training rules may move it/);
});

test("a training that is stopped, or has no epochs, leaves what there is", async () => {
  const none = fresh();
  const before = none.network.tensors();
  await averaged(none.retrainer, 2).retrain({ ...request, epochs: 0, masks: new Map() }, context());
  await soup(none.retrainer, 2).retrain({ ...request, epochs: 0, masks: new Map() }, context());
  expect(none.network.tensors()).toEqual(before);
  const stopped = fresh();
  await averaged(stopped.retrainer, 1).retrain({ ...request, onEpoch: () => "stop" }, context());
  const one = fresh();
  await one.retrainer.retrain({ ...request, onEpoch: () => "stop" }, context());
  expect(stopped.network.tensors()).toEqual(one.network.tensors());
  let epochsSeen = 0;
  await soup(fresh().retrainer, 3).retrain(
    { ...request, onEpoch: () => (++epochsSeen === 4 ? "stop" : "go on") },
    context(),
  );
  expect(epochsSeen).toBe(4);
});
