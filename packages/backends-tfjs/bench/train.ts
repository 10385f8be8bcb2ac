/** `node packages/backends-tfjs/bench/train.ts FOLDER [cnn|lstm] [EPOCHS] [EXAMPLES]`: trains a model of the benchmarks on MNIST and writes it. */
import { join } from "node:path";
import process from "node:process";
import { subset } from "@secateur/core";
import { openDataset } from "@secateur/datasets";
import { convolutionalModel, recurrentModel, trainModel } from "./mnist-models.ts";
import { saveModel } from "./save-model.ts";
import { startEngine } from "./start-engine.ts";

const [folder = ".", kind = "cnn", epochs = "3", examples = "60000"] = process.argv.slice(2);
const { tf } = await startEngine("wasm");
tf.enableProdMode();
const { train } = await openDataset("mnist");
const model = kind === "lstm" ? recurrentModel(tf) : convolutionalModel(tf);
const started = performance.now();
const onEpoch = (epoch: number, loss: number): void => {
  process.stdout.write(
    `epoch ${epoch}: loss ${loss.toFixed(4)}, ${((performance.now() - started) / 1000).toFixed(0)} s\n`,
  );
};
const first = Uint32Array.from({ length: Number(examples) }, (_, i) => i);
await trainModel(tf, { model, data: subset(train, first), epochs: Number(epochs), onEpoch });
process.stdout.write(`${await saveModel(model, join(folder, kind))}\n`);
