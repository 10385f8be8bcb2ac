/** Ways to a sparse network within one budget of epochs: rules during training, masks before it, pruning and retraining after it. */
import type { Mask, TrainingRule } from "@secateur/core";
import { createNetwork, type Network, type NetworkSpec, reestimateBatchNorm, train } from "@secateur/nn";
import {
  acDc,
  admm,
  autoPrune,
  filters,
  gmp,
  granet,
  granetSt,
  issP,
  polarization,
  powerpropagation,
  rigl,
  set,
  stamp,
  tpp,
} from "@secateur/sparse-training";
import { quietSession } from "./bench-network.ts";
import { type BenchSetting, pruneAndRetrain, pruneOnly } from "./imp-run.ts";

/** One training from scratch. */
export interface MethodRun extends BenchSetting {
  readonly spec: NetworkSpec;
  readonly sparsity: number;
  readonly epochs: number;
  readonly seed: number;
}

/** A method by name. */
export interface SparseMethod {
  readonly name: string;
  /** Trains and prunes a new network; its test accuracy is taken afterwards. */
  run(call: MethodRun): Promise<Network>;
}

/** A new network trained with rules. */
function ruled(name: string, rules: (sparsity: number) => readonly TrainingRule[]): SparseMethod {
  return {
    name,
    async run(call) {
      const network = createNetwork(call.spec, { seed: call.seed });
      await trainNetwork(network, { ...call, rules: rules(call.sparsity) });
      return network;
    },
  };
}

/** A new network, pruned before it is trained. */
function atInitialization(selector: string): SparseMethod {
  return {
    name: selector,
    async run(call) {
      const network = createNetwork(call.spec, { seed: call.seed });
      // A new network's running statistics are those of no data, and scores are taken with them.
      await reestimateBatchNorm(network, call.data.train, quietSession(call.kernels, call.seed).context());
      await pruneOnly({ ...call, network, solver: selector });
      const masks = new Map(
        network
          .params()
          .filter(({ prunable }) => prunable)
          .map(({ name }) => [name, Uint8Array.from(network.weights.get(name)!.data, (w) => (w === 0 ? 0 : 1))]),
      );
      await trainNetwork(network, { ...call, masks });
      return network;
    },
  };
}

/** Dense training for half of the epochs, then one pruning and LLR over the other half. */
function retrained(name: string, solver: string): SparseMethod {
  return {
    name,
    async run(call) {
      const network = createNetwork(call.spec, { seed: call.seed });
      const half = Math.floor(call.epochs / 2);
      await trainNetwork(network, { ...call, epochs: half });
      const dense = { schedule: "one-cycle", learningRate: 0.1, epochs: half } as const;
      const model = { network, metadata: {}, architecture: { name: call.spec.name } };
      const settings = { schedule: "llr", epochs: call.epochs - half, dense } as const;
      await pruneAndRetrain({ ...call, model, solver, settings });
      return network;
    },
  };
}

/** The pull that brings AutoPrune near a sparsity, as found on MLPNet from what it leaves at pulls of 3e-6 to 4e-4: the rule takes none. */
function pullOf(sparsity: number): number {
  return 2.5e-7 / (1 - sparsity) ** 2;
}

/** All methods, in the order of the table. */
export const sparseMethods: readonly SparseMethod[] = [
  ruled("gmp", (sparsity) => [gmp({ sparsity })]),
  ruled("set", (sparsity) => [set({ sparsity })]),
  ruled("rigl", (sparsity) => [rigl({ sparsity })]),
  ruled("rigl, uniform", (sparsity) => [rigl({ sparsity, distribution: "uniform" })]),
  ruled("granet", (sparsity) => [granet({ sparsity })]),
  ruled("granet-st", (sparsity) => [granetSt({ sparsity })]),
  ruled("ac-dc", (sparsity) => [acDc({ sparsity })]),
  ruled("admm", (sparsity) => [admm({ sparsity })]),
  ruled("iss-p", (sparsity) => [issP({ sparsity })]),
  ruled("powerpropagation + gmp", (sparsity) => [powerpropagation(), gmp({ sparsity })]),
  ruled("static, random (ERK)", (sparsity) => [rigl({ sparsity, fraction: 1e-9 })]),
  ruled("auto-prune", (sparsity) => [autoPrune({ pull: pullOf(sparsity) })]),
  // Whole rows or channels go: the sparsity is of those, and of the weights it is what comes out.
  ruled("filters", (sparsity) => [filters({ sparsity })]),
  ruled("tpp", (sparsity) => [tpp({ sparsity })]),
  ruled("stamp", (sparsity) => [stamp({ sparsity })]),
  ruled("polarization + stamp", (sparsity) => [polarization(), stamp({ sparsity })]),
  ...["magnitude", "snip", "grasp", "synflow", "prospr"].map(atInitialization),
  retrained("IMP + LLR", "magnitude"),
  retrained("CHITA + LLR", "chita"),
];

/** Trains a network as `secateur train` does by default. */
export async function trainNetwork(
  network: Network,
  call: Omit<MethodRun, "spec"> & { rules?: readonly TrainingRule[]; masks?: ReadonlyMap<string, Mask> },
): Promise<void> {
  const { data, epochs, kernels, seed, rules = [], masks } = call;
  const context = quietSession(kernels, seed).context();
  await train(network, { data: data.train, epochs, rules, ...(masks ? { masks } : {}) }, context);
}
