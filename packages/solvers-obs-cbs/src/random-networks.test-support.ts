/**
 * Small random networks with data that give pruning trouble: noisy labels, few examples, one class, dead layers, equal weights,
 * layers of very different scale, batch normalisation of batches of one, weights near the ends of f32, constant inputs.
 */
import { arrayDataset, createRng, createRunContext, type Dataset, matrix, type Rng } from "@secateur/core";
import { createNetwork, type LayerSpec, mlp, type Network, type NetworkSpec, train } from "@secateur/nn";

/** What is odd about a case. */
export const troubles = [
  "none",
  "noisy labels",
  "random labels",
  "few examples",
  "one class",
  "dead layer",
  "equal weights",
  "scaled layers",
  "batch norm at batch 1",
  "tiny weights",
  "huge weights",
  "constant inputs",
  "over-trained",
  "constant outputs",
  "convolution",
] as const;

/** One network and its data. */
export interface RandomCase {
  readonly index: number;
  readonly trouble: (typeof troubles)[number];
  readonly sparsity: number;
  readonly train: Dataset;
  /** Drawn like `train`. */
  readonly heldOut: Dataset;
  /** A fresh copy of the network. */
  copy(): Network;
}

/** Case `index` of as many as wanted: the same for everybody. Troubles take turns. */
export async function randomCase(index: number): Promise<RandomCase> {
  const rng = createRng(`random network ${index}`);
  const trouble = troubles[index % troubles.length]!;
  const classes = 2 + rng.integer(4);
  const isImage = trouble === "convolution" || trouble === "batch norm at batch 1";
  const side = 6;
  const features = isImage ? side * side : 3 + rng.integer(10);
  const size = trouble === "few examples" ? 3 + rng.integer(20) : [40, 120, 400][rng.integer(3)]!;
  const teacher = createNetwork(mlp({ sizes: [features, 8, classes] }), { seed: rng.integer(1e9) });
  const draw = (count: number, label: string) =>
    examples({ count, features, classes, teacher, trouble, rng: rng.fork(label), ...(isImage ? { side } : {}) });
  const training = await draw(size, "train");
  const spec = isImage
    ? imageNetwork({ side, classes, norms: trouble === "batch norm at batch 1", rng })
    : mlp({ sizes: [features, ...widths(rng), classes] });
  const network = createNetwork(spec, { seed: rng.integer(1e9) });
  const epochs = trouble === "over-trained" ? 60 : 1 + rng.integer(12);
  const batchSize = trouble === "batch norm at batch 1" ? 1 : 32;
  await train(
    network,
    { data: training, epochs, batchSize, optimizer: { kind: "adam" }, learningRate: () => 5e-3, weightDecay: 0 },
    createRunContext({ seed: index }),
  );
  disturb(network, trouble, rng);
  return {
    index,
    trouble,
    sparsity: [0.3, 0.5, 0.8, 0.9, 0.95][rng.integer(5)]!,
    train: training,
    heldOut: await draw(500, "held out"),
    copy: () => createNetwork(spec, { weights: network.tensors() }),
  };
}

function widths(rng: Rng): readonly number[] {
  return Array.from({ length: 1 + rng.integer(2) }, () => 6 + rng.integer(14));
}

function imageNetwork(spec: { side: number; classes: number; norms: boolean; rng: Rng }): NetworkSpec {
  const { side, classes, norms, rng } = spec;
  const channels = 3 + rng.integer(4);
  const norm = (name: string): LayerSpec[] => (norms ? [{ kind: "batch-norm", name, channels }] : []);
  return {
    name: "random convolutions",
    inputShape: [1, side, side],
    classes,
    layers: [
      { kind: "conv2d", name: "conv1", in: 1, out: channels, kernel: [3, 3], padding: 1 },
      ...norm("bn1"),
      { kind: "relu" },
      { kind: "conv2d", name: "conv2", in: channels, out: channels, kernel: [3, 3], padding: 1 },
      ...norm("bn2"),
      { kind: "relu" },
      { kind: "global-average-pool" },
      { kind: "dense", name: "fc", in: channels, out: classes, bias: true },
      { kind: "log-softmax" },
    ],
  };
}

async function examples(spec: {
  count: number;
  features: number;
  classes: number;
  teacher: Network;
  trouble: RandomCase["trouble"];
  side?: number;
  rng: Rng;
}): Promise<Dataset> {
  const { count, features, classes, teacher, trouble, side, rng } = spec;
  const isConstant = trouble === "constant inputs";
  const data = Float32Array.from({ length: count * features }, () => (isConstant ? 0.5 : rng.normal()));
  const inputs = matrix(count, features, data);
  const batch = await arrayDataset({ inputs }).batch(Uint32Array.from({ length: count }, (_, i) => i));
  const [scores] = Object.values(await teacher.run!(batch, createRunContext()));
  const labels = Uint8Array.from({ length: count }, (_, i) => {
    if (trouble === "one class") return 0;
    if (trouble === "random labels" || (trouble === "noisy labels" && rng.next() < 0.2)) return rng.integer(classes);
    const row = scores!.data.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row));
  });
  return arrayDataset({ inputs, labels, classes, ...(side ? { inputShape: [1, side, side] } : {}) });
}

function disturb(network: Network, trouble: RandomCase["trouble"], rng: Rng): void {
  const tensors = [...network.weights].filter(([name]) => name.endsWith(".weight"));
  const scale = (at: number, factor: number) => {
    const { data } = tensors.at(at)![1];
    for (let j = 0; j < data.length; j++) data[j] = data[j]! * factor;
  };
  if (trouble === "dead layer") network.weights.get("fc1.bias")!.data.fill(-1e4);
  if (trouble === "equal weights") for (const [, { data }] of tensors) data.fill(0.1);
  if (trouble === "scaled layers") {
    const factor = 10 ** (1 + 2 * rng.next());
    scale(0, 1 / factor);
    scale(-1, factor);
  }
  if (trouble === "tiny weights") scale(0, 1e-30);
  if (trouble === "huge weights") scale(-1, rng.next() < 0.5 ? 1e30 : 1e6);
  if (trouble === "constant outputs") scale(-1, 0);
}
