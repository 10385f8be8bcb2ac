/** Forward passes of our graph and of onnxruntime-web on the same inputs, in turn in one process, several runs a turn, as a program runs one of them. */
import { basename } from "node:path";
import { createWasmKernels } from "@secateur/backends-wasm";
import { createRunContext, type FloatTensors, regression } from "@secateur/core";
import { readOnnx } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { type Constants, inputsOf, openRuntime, type Shapes } from "./onnx-runtime.ts";
import { decimals } from "./print.ts";

/** A row of the table: medians, and their ratios. */
export async function compareSpeed(spec: {
  readonly path: string;
  readonly threads: number;
  readonly shapes: Shapes;
  readonly constants: Constants;
  readonly runs: number;
  /** Runs of a turn. */
  readonly turn: number;
  readonly folder: string;
}): Promise<(string | undefined)[]> {
  const { path, threads, shapes, constants, runs, turn, folder } = spec;
  const file = basename(path);
  const fixed = constants.get(file) ?? new Map<string, number>();
  const runtime = await openRuntime("onnxruntime-web", folder);
  runtime.env.wasm.numThreads = threads;
  const { model, bytes } = await readOnnx(path);
  const graph = createGraphModel({ graph: model.graph, opsets: model.opsets, name: file, fixed });
  if (!graph.run) return [file, "-", `${threads}`];
  const { batch, feeds } = inputsOf(model, runtime, {
    ...{ shapes: shapes.get(file), fixed, axes: graph.exampleAxes },
  });
  const described = Object.values(batch.inputs)
    .map(({ shape }) => shape.join("x"))
    .join(" ");
  const kernels = await createWasmKernels({ threads });
  try {
    const ctx = createRunContext({ kernels });
    const task = regression();
    const session = await runtime.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    const sides = [
      async (): Promise<FloatTensors> => await graph.run!(batch, ctx, { task }),
      async () => await session.run(feeds),
    ];
    const times = sides.map(() => ({ wall: [] as number[], cpu: [] as number[] }));
    // The first runs compile.
    for (let r = -3; r < runs; r++) {
      for (const [s, side] of sides.entries()) {
        const [wall, cpu] = [performance.now(), process.cpuUsage()];
        for (let i = 0; i < turn; i++) await side();
        const used = process.cpuUsage(cpu);
        if (r < 0) continue;
        times[s]!.wall.push((performance.now() - wall) / turn);
        times[s]!.cpu.push((used.user + used.system) / 1000 / turn);
      }
    }
    const [ours, theirs] = times.map(({ wall, cpu }) => ({ wall: median(wall), cpu: median(cpu) }));
    return [
      ...[file, described, `${threads}`, decimals(ours!.wall, 2), decimals(theirs!.wall, 2)],
      ...[decimals(ours!.wall / theirs!.wall, 2), decimals(ours!.cpu / theirs!.cpu, 2)],
    ];
  } catch (error) {
    return [file, described, `${threads}`, (error as Error).message.replaceAll("\n", " ").slice(0, 60)];
  } finally {
    await kernels.close();
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}
