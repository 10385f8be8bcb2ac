/** Inference of networks of layers beside onnxruntime-web on the same network as ONNX, in turn in one process. */
import { join } from "node:path";
import { createWasmKernels } from "@secateur/backends-wasm";
import { createRng, createRunContext } from "@secateur/core";
import { openModel, stockOfNetwork } from "@secateur/run/node";
import { networkPath, onlyCheckpoint } from "../bench-network.ts";
import { openRuntime, type Runtime } from "../onnx-runtime.ts";
import { decimals, printLine, printTable, showProgress } from "../print.ts";

const rounds = 15;

/** Prints a row for each network, batch and number of threads: medians of single calls, in turns of several. */
export async function compareInference(spec: { folder: string; runtimes: string | undefined }): Promise<void> {
  const { folder, runtimes } = spec;
  const runtime = await openRuntime("onnxruntime-web", runtimes ?? folder).catch((error: Error) => {
    const [reason] = error.message.split("\n");
    printLine(`left out: onnxruntime-web (${reason}; give --runtimes FOLDER, which has it in its node_modules)`);
    return undefined;
  });
  const paths = { mlpnet: networkPath(folder), resnet20: onlyCheckpoint(join(folder, "resnet20-cifar10"), "ResNet20") };
  const rows: (string | undefined)[][] = [];
  for (const [name, path] of Object.entries(paths)) {
    for (const batch of [1, 64]) {
      showProgress(`${name}, batch ${batch}`);
      const { ours, theirs } = await milliseconds({ name, path, batch, runtime });
      rows.push([name, `${batch}`, decimals(ours, 3), decimals(theirs, 3), decimals(theirs && theirs / ours, 2)]);
    }
  }
  printTable(["network, 1 thread", "batch", "ms", "onnxruntime-web", "times faster"], rows);
}

async function milliseconds(spec: {
  name: string;
  path: string;
  batch: number;
  runtime: Runtime | undefined;
}): Promise<{ ours: number; theirs: number | undefined }> {
  const { name, path, batch, runtime } = spec;
  const { network } = await openModel({ path, arch: name, onEvent: () => {} });
  const kernels = await createWasmKernels({ threads: 1 });
  try {
    const [input] = network.inputs;
    const shape = [batch, ...network.spec.inputShape];
    const rng = createRng(name);
    const data = Float32Array.from({ length: shape.reduce((product, extent) => product * extent, 1) }, () =>
      rng.normal(),
    );
    const ctx = createRunContext({ kernels });
    const fed = { size: batch, inputs: { [input!.name]: { shape, data } } };
    const sides: (() => Promise<unknown>)[] = [async () => await network.run(fed, ctx)];
    if (runtime) {
      runtime.env.wasm.numThreads = 1;
      const session = await runtime.InferenceSession.create(stockOfNetwork(network).onnx!(), {
        executionProviders: ["wasm"],
      });
      const [feed] = session.inputNames;
      const tensor = new runtime.Tensor("float32", data, shape);
      sides.push(async () => await session.run({ [feed!]: tensor }));
    }
    const turn = name === "mlpnet" ? 200 : batch === 1 ? 20 : 2;
    const times = sides.map((): number[] => []);
    // The first rounds compile.
    for (let round = -3; round < rounds; round++) {
      for (const [s, side] of sides.entries()) {
        const started = performance.now();
        for (let i = 0; i < turn; i++) await side();
        if (round >= 0) times[s]!.push((performance.now() - started) / turn);
      }
    }
    const [ours, theirs] = times.map((own) => own.sort((a, b) => a - b)[own.length >> 1]!);
    return { ours: ours!, theirs };
  } finally {
    await kernels.close();
  }
}
