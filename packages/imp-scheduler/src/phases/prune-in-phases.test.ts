import {
  arrayDataset,
  createRng,
  createRunContext,
  type Dataset,
  keptCount,
  layoutParams,
  matrix,
  type Phase,
  type PruneRequest,
  type PruneResult,
  prune,
  type Retrainer,
  type Retraining,
  type RunEvent,
  type RunState,
  readFlat,
} from "@secateur/core";
import { gaussNewton } from "@secateur/fisher";
import { createNetwork, createRetrainer, mlp, type Network, train } from "@secateur/nn";
import { chita } from "@secateur/solvers-chita";
import { magnitude } from "@secateur/solvers-magnitude";
import { describe, expect, test } from "vitest";
import { allocation } from "../allocation/allocation.ts";
import { gmpPhases } from "./gmp-phases.ts";
import { impPhases } from "./imp-phases.ts";
import { phaseSparsities } from "./phase-sparsities.ts";

const dense = { rates: Array.from({ length: 100 }, (_, t) => 0.2 * (1 - t / 100)), epochs: 10 };

function examples(count: number, seed: number): Dataset {
  const rng = createRng(seed);
  const inputs = matrix(
    count,
    8,
    Float32Array.from({ length: count * 8 }, () => rng.normal()),
  );
  const labels = Array.from({ length: count }, (_, i) => (inputs.data[i * 8]! + inputs.data[i * 8 + 1]! > 0 ? 1 : 0));
  return arrayDataset({ inputs, labels, classes: 2 });
}

const data = examples(160, 1);
const newNetwork = (): Network => createNetwork(mlp({ sizes: [8, 12, 2] }), { seed: 2 });

/** A run of three rounds; of `over` what belongs to the training goes there. */
function setting(network: Network, over: Partial<PruneRequest & Retraining> = {}): PruneRequest {
  const sparsities = phaseSparsities({ target: 0.8, phases: 3 });
  const { retrainer, phases, rewindTo, earlyStopping, ...pruning } = over;
  return {
    model: network,
    solver: magnitude(),
    seed: 4,
    ...pruning,
    retrain: {
      retrainer: retrainer ?? createRetrainer(network, { data, batchSize: 16 }),
      phases: phases ?? impPhases({ sparsities, epochs: 7, schedule: "llr", dense }),
      schedule: "llr",
      measure: () => network.evaluate(data, createRunContext()),
      ...(rewindTo ? { rewindTo } : {}),
      ...(earlyStopping ? { earlyStopping } : {}),
    },
  };
}

async function inRounds(request: PruneRequest): Promise<PruneResult & { rounds: NonNullable<PruneResult["rounds"]> }> {
  const result = await prune(request);
  return { ...result, rounds: result.rounds! };
}

async function flat(network: Network): Promise<Float32Array> {
  return await readFlat(network, layoutParams(network));
}

/** The result without its times, which differ from run to run. */
function timeless({ rounds, mask, layers, nonzeros, stages }: PruneResult): unknown {
  const plain = rounds!.map((round) => ({ ...round, pruneMs: 0, retrainMs: 0, imagesPerSecond: 0 }));
  return { rounds: plain, mask, layers, nonzeros, objectives: stages.map(({ objective }) => objective) };
}

describe("rounds of pruning and retraining", () => {
  test("reach the exact sparsity of every phase, and what was pruned stays pruned", async () => {
    const network = newNetwork();
    const masks: Uint8Array[] = [];
    const result = await inRounds(
      setting(network, {
        onState: (state) => {
          masks.push(state.mask.slice());
        },
      }),
    );
    const p = 8 * 12 + 12 * 2;
    const wanted = phaseSparsities({ target: 0.8, phases: 3 }).map((sparsity) => keptCount(p, sparsity));
    expect(result.rounds.map(({ kept }) => kept)).toEqual(wanted);
    expect(result.rounds.map(({ training }) => training.length)).toEqual([2, 2, 3]);
    masks.forEach((mask, i) => {
      expect(mask.every((bit, j) => bit <= (masks[i - 1]?.[j] ?? 1))).toBe(true);
    });
    const weights = await flat(network);
    expect(weights.every((value, j) => result.mask[j] === 1 || value === 0)).toBe(true);
    expect(result.nonzeros).toBe(keptCount(p, 0.8));
  });

  test("keep masked weights and their momentum at zero over thousands of steps", async () => {
    const network = newNetwork();
    let states = 0;
    const phases = impPhases({ sparsities: [0.7], epochs: 250, schedule: "clr", dense });
    await inRounds(
      setting(network, {
        phases,
        onState: ({ training, mask }) => {
          const trained = training?.open?.training;
          if (!trained) return;
          states++;
          const tensors = new Map(trained.tensors.map(({ name, data: values }) => [name, values]));
          for (const { name, start, size } of layoutParams(network)) {
            for (const key of [name, `optimizer.velocity/${name}`]) {
              const values = tensors.get(key)!;
              for (let j = 0; j < size; j++) {
                if (mask[start + j] === 0 && values[j] !== 0) throw new Error(`${key} ${j} is ${values[j]}`);
              }
            }
          }
        },
      }),
    );
    expect(states).toBe(250); // 10 steps each: 2,500 steps
  });

  test("go on from every state to the same bytes as without the interruption", async () => {
    const network = newNetwork();
    const states: RunState[] = [];
    const request = (one: Network) =>
      setting(one, {
        solver: chita(),
        curvature: gaussNewton(),
        data,
        plan: { stages: 2, targetStages: 1, examples: 40 },
        earlyStopping: { patience: 2, evaluate: () => one.evaluate(examples(40, 9), createRunContext()) },
      });
    const whole = await inRounds({
      ...request(network),
      onState: (state) => {
        states.push(structuredClone(state));
      },
    });
    // Three phases of three stages and one pruning, an epoch each, and the ends.
    expect(states.length).toBeGreaterThan(15);
    expect(states.some(({ stage }) => stage % 3 !== 0)).toBe(true);
    expect(states.some(({ training }) => training?.open?.training)).toBe(true);
    for (const state of states) {
      const other = createNetwork(mlp({ sizes: [8, 12, 2] }), { seed: 99 });
      const resumed = await inRounds({ ...request(other), resume: state });
      expect(other.tensors()).toEqual(network.tensors());
      expect(timeless(resumed)).toEqual(timeless(whole));
    }
  });

  test("refuse a state of another run and say what differs", async () => {
    let saved: RunState | undefined;
    const network = newNetwork();
    await inRounds(
      setting(network, {
        onState: (state) => {
          saved ??= state;
        },
      }),
    );
    await expect(inRounds(setting(newNetwork(), { seed: 5, resume: saved! }))).rejects.toThrow(/seed was 4 and is 5/);
  });

  test("report accuracies, distances, instability and the operations of non-zero weights", async () => {
    const network = newNetwork();
    const start = await flat(network);
    const events: RunEvent[] = [];
    const { rounds } = await inRounds(
      setting(network, {
        phases: impPhases({ sparsities: [0.5], epochs: 1, schedule: "llr", dense }),
        onEvent: (event) => events.push(event),
      }),
    );
    const [round] = rounds;
    const { before, pruned, retrained, instability } = round!;
    expect(instability).toBeCloseTo((before!.accuracy - pruned!.accuracy) / before!.accuracy, 12);
    expect(retrained).toEqual(await network.evaluate(data, createRunContext()));
    // Magnitude pruning goes as far as the norm of what it removes.
    const sorted = [...start].map(Math.abs).sort((a, b) => a - b);
    const removed = Math.sqrt(sorted.slice(0, 60).reduce((sum, value) => sum + value ** 2, 0));
    const size = Math.sqrt(start.reduce((sum, value) => sum + value ** 2, 0));
    expect(round!.pruningDistance).toBeCloseTo(removed / size, 6); // sums of f32 squares
    expect(round!.flops).toBe(2 * 120);
    expect(round!.nonzeroFlops).toBe(2 * 60);
    expect(round!.peakRate).toBeCloseTo(0.2, 6);
    expect(events.filter(({ type }) => type === "round:end")).toHaveLength(1);
    expect(events.filter(({ type }) => type === "epoch:end")).toHaveLength(1);
  });

  test("rewind kept weights to an earlier point and leave pruned ones zero", async () => {
    const network = newNetwork();
    const early = createNetwork(mlp({ sizes: [8, 12, 2] }), { seed: 50 });
    let first: RunState | undefined;
    // Weights that what follows from them was measured at, the last time before the training.
    let followed = new Float32Array(0);
    let atFirst = followed;
    await inRounds(
      setting(network, {
        rewindTo: early.tensors(),
        recalibrate: async () => {
          followed = Float32Array.from(await flat(network));
        },
        onState: (state) => {
          if (!state.training?.open || state.training.open.training || first) return;
          first = state;
          atFirst = followed;
        },
      }),
    );
    const target = await flat(early);
    expect([...first!.weights]).toEqual([...target].map((value, j) => (first!.mask[j] === 1 ? value : 0)));
    expect(atFirst).toEqual(first!.weights);
    const bias = first!.training!.tensors.find(({ name }) => name === "fc1.bias")!;
    expect(bias.data).toEqual(early.weights.get("fc1.bias")!.data);
  });

  test("stop early when the held-out loss no longer falls, and keep the best epoch's weights", async () => {
    const network = newNetwork();
    const losses = [1, 0.5, 0.7, 0.6, 0.4];
    const kept: Float32Array[] = [];
    let asked = 0;
    const { rounds } = await inRounds(
      setting(network, {
        phases: impPhases({ sparsities: [0.5], epochs: 9, schedule: "llr", dense }),
        earlyStopping: {
          patience: 2,
          evaluate: async () => {
            kept.push(await flat(network));
            return { loss: losses[asked++]!, accuracy: 0, examples: 1, task: "classification", measures: [] };
          },
        },
      }),
    );
    expect(rounds[0]!.heldOut).toEqual([1, 0.5, 0.7, 0.6]);
    expect(rounds[0]!.bestEpoch).toBe(1);
    expect(rounds[0]!.training).toHaveLength(3);
    expect(await flat(network)).toEqual(kept[1]);
  });

  test("of gmp keep the momentum of kept weights across prunings, those of imp do not", async () => {
    const recorded = async (phases: readonly Phase[]): Promise<boolean[]> => {
      const network = newNetwork();
      const inner = createRetrainer(network, { data, batchSize: 16 });
      const seen: boolean[] = [];
      const retrainer: Retrainer = {
        ...inner,
        retrain: (request, ctx) => {
          seen.push(request.after !== undefined);
          return inner.retrain(request, ctx);
        },
      };
      await inRounds(setting(network, { phases, retrainer }));
      return seen;
    };
    const gmp = gmpPhases({ target: 0.6, epochs: 3, interval: 1, rate: () => 0.01 });
    expect(await recorded(gmp)).toEqual([false, true, true]);
    expect(await recorded(impPhases({ sparsities: [0.3, 0.6], epochs: 2, schedule: "ft", dense }))).toEqual([
      false,
      false,
    ]);
  });

  test("go around a solver with curvature and an allocation by layer", async () => {
    const network = newNetwork();
    const { kept, layers } = await inRounds(
      setting(network, {
        solver: chita(),
        curvature: gaussNewton(),
        data,
        budget: allocation({ method: "erk", exclude: ["fc2"] }),
        plan: { examples: 40 },
      }),
    );
    expect(kept).toBe(keptCount(120, 0.8));
    expect(layers.find(({ name }) => name === "fc2.weight")!.nonzeros).toBe(24);
  });

  test("notice a retrainer that ignores masks", async () => {
    const network = newNetwork();
    const inner = createRetrainer(network, { data, batchSize: 16 });
    const retrainer: Retrainer = {
      ...inner,
      retrain: (request, ctx) => inner.retrain({ ...request, masks: new Map() }, ctx),
    };
    await expect(inRounds(setting(network, { retrainer }))).rejects.toThrow(/pruned weights are not zero/);
  });

  test("keep their start where training made the loss worse, and say so", async () => {
    const network = newNetwork();
    await train(network, { data, epochs: 20 }, createRunContext());
    const wild: Phase = { sparsity: 0.2, epochs: 1, rates: (steps) => new Float64Array(steps).fill(3) };
    let start: Float32Array | undefined;
    const { notes, rounds } = await inRounds(
      setting(network, {
        data,
        phases: [wild],
        onState: ({ training, weights }) => {
          if (training?.open) start ??= weights;
        },
      }),
    );
    expect(notes.map(({ code }) => code)).toContain("round-undone");
    expect(await flat(network)).toEqual(start);
    expect(rounds[0]!.retrained).toEqual(rounds[0]!.pruned);
  });

  test("refuse sparsities that go down before anything runs", async () => {
    const network = newNetwork();
    const before = await flat(network);
    const [a, b] = impPhases({ sparsities: [0.5, 0.8], epochs: 2, schedule: "ft", dense });
    await expect(inRounds(setting(network, { phases: [b!, a!] }))).rejects.toThrow(/goes down/);
    expect(await flat(network)).toEqual(before);
  });
});
