/** `secateur bench`: the same network dense and packed, in one process, round after round. */
import { readFileBytes } from "@secateur/formats";
import { type InputTensor, load } from "@secateur/runtime";
import { encodePacked, type PackGraph, packGraph } from "@secateur/runtime/pack";
import type { Session as RunSession } from "../../session.ts";
import type { InputChoices } from "../open/input-choices.ts";
import { modelFile } from "../open/open-tfjs.ts";
import { benchInBrowser } from "./browser/browser-bench.ts";
import { openOnnxEngines } from "./onnx-engines.ts";
import { openPackable, type Packable } from "./open-packable.ts";
import { isPacked } from "./packed-checkpoint.ts";
import { openTfjsEngine } from "./tfjs-engine.ts";

/** One line of `secateur bench --json`. */
export interface BenchDocument {
  readonly model: string;
  /**
   * "secateur" as packed, "secateur-dense" the same network with every weight taking part; where they are installed and take the model, also
   * "onnxruntime-web", "onnxruntime-node" and "tfjs-wasm".
   */
  readonly engine: string;
  readonly threads: number;
  readonly medianMs: number;
  /** Of the fastest run: other work on the machine only ever lengthens one. */
  readonly fastestMs: number;
  /** From bytes to a network ready to run. */
  readonly loadMs: number;
  readonly runs: number;
  /** Name and version, where it ran in one. */
  readonly browser?: string;
  /** What was not as it was asked for. */
  readonly notes?: readonly string[];
}

/** Milliseconds that a model's rounds take at least. */
const leastMs = 1000;

/** Something that runs the model. */
interface Engine {
  readonly engine: string;
  readonly threads: number;
  readonly loadMs: number;
  readonly notes: readonly string[];
  run(): Promise<unknown>;
  close(): Promise<void>;
}

/** A model to be timed. */
export interface BenchModel extends Pick<Packable, "graph" | "onnxInputs" | "stock"> {
  /** What results call it. */
  readonly name: string;
  /** Its packed file, where it has one; default: as `secateur pack` packs it. */
  readonly packed?: Uint8Array;
}

/** How models are timed. */
export interface BenchSettings {
  /** Of an ONNX model. */
  readonly choices?: InputChoices | undefined;
  readonly threads: number;
  /** Where other runtimes are looked for. */
  readonly cwd: string;
  /** Whether everything runs in headless Chromium; default: in this process. */
  readonly isBrowser?: boolean;
  /** Rounds at least; default 15. */
  readonly leastRounds?: number;
}

/** Times the engines of the model in a file. */
export async function runBench(
  spec: BenchSettings & { readonly path: string; readonly arch: string | undefined },
  session: RunSession,
): Promise<readonly BenchDocument[]> {
  const { path, arch, choices } = spec;
  const packable = await openPackable({ path, arch, inputs: choices, onEvent: session.onEvent });
  const bytes = await readFileBytes(modelFile(path));
  const model = { ...packable, name: path, ...(isPacked(bytes) ? { packed: bytes } : {}) };
  return await benchModel(model, spec, session);
}

/** Times a model's engines in turn, so that whatever else the machine does meets all of them: a second a model and `leastRounds` at least. */
export async function benchModel(
  model: BenchModel,
  settings: BenchSettings,
  session: RunSession,
): Promise<readonly BenchDocument[]> {
  const { name, graph, onnxInputs, stock } = model;
  const { choices, threads, cwd, isBrowser = false, leastRounds = 15 } = settings;
  const packed = model.packed ?? (await packGraph(graph)).bytes;
  const inputs = inputsOf(graph);
  const networks = new Map([
    ["secateur", packed],
    ["secateur-dense", await encodePacked(asDense(graph), { masks: false })],
  ]);
  if (isBrowser) {
    const types = graph.inputs.map(({ name: input, whole }) => ({
      ...{ name: input, dims: inputs[input]!.dims },
      type: whole ? (onnxInputs?.get(input)?.dtype === "i32" ? ("i32" as const) : ("i64" as const)) : ("f32" as const),
    }));
    const { signal } = session;
    // The page feeds the inputs that are left; other runtimes want the fixed ones, too, and do not run there.
    const forms = choices?.fixed?.size ? {} : stock;
    const found = await benchInBrowser({
      networks,
      stock: forms,
      inputs: types,
      threads,
      cwd,
      signal,
      leastRounds,
      leastMs,
    });
    return found.engines.map(({ times: all, notes, ...engine }) => {
      const sorted = [...all].sort((a, b) => a - b);
      const result = {
        model: name,
        ...engine,
        medianMs: sorted[sorted.length >> 1]!,
        fastestMs: sorted[0]!,
        runs: all.length,
      };
      return { ...result, browser: found.browser, ...(notes.length > 0 ? { notes } : {}) };
    });
  }
  const engines: Engine[] = [];
  for (const [engine, own] of networks) engines.push(await openOwn({ engine, bytes: own, inputs, threads }));
  if (stock.onnx) {
    const constants = [...(choices?.fixed ?? [])].map(([input, number]) => [
      input,
      constantInput(onnxInputs?.get(input)?.shape ?? [], number),
    ]);
    const all = { ...inputs, ...Object.fromEntries(constants) };
    const types = onnxInputs ?? new Map();
    const others = await openOnnxEngines({ bytes: stock.onnx, inputs: all, types, threads, cwd });
    engines.push(...others.map((other) => ({ ...other, notes: [] })));
  }
  const tfjs = stock.tfjs && (await openTfjsEngine({ files: stock.tfjs, cwd }));
  if (tfjs) engines.push({ ...tfjs, notes: [] });
  const times = engines.map((): number[] => []);
  // The first runs are slower: engines still compile.
  for (const { run } of engines) for (let i = 0; i < 3; i++) await run();
  const ctx = session.context();
  for (let began = performance.now(), round = 0; round < leastRounds || performance.now() - began < leastMs; round++) {
    for (const [e, { run }] of engines.entries()) await takeTurn(run, times[e]!);
    await ctx.tick({ task: "bench", done: round, total: leastRounds });
  }
  for (const { close } of engines) await close();
  return engines.map(({ engine, loadMs, notes, threads: used }, e) => {
    const all = times[e]!.sort((a, b) => a - b);
    const result = {
      model: name,
      engine,
      threads: used,
      medianMs: all[all.length >> 1]!,
      fastestMs: all[0]!,
      loadMs,
      runs: all.length,
    };
    return notes.length > 0 ? { ...result, notes } : result;
  });
}

/** Small networks run several times in a turn. */
const turnMs = 2;

/** Adds the times of one engine's turn. The first run of a small network does not count: it pays for what the engine before left in the caches. */
async function takeTurn(run: () => Promise<unknown>, times: number[]): Promise<void> {
  const began = performance.now();
  await run();
  let before = performance.now();
  if (before - began > turnMs) {
    times.push(before - began);
    return;
  }
  do {
    await run();
    const after = performance.now();
    times.push(after - before);
    before = after;
  } while (before - began < turnMs);
}

/** An input that is fixed, as the model takes it: one example of what it leaves open. */
function constantInput(shape: readonly (number | string | null)[], number: number): InputTensor {
  const dims = shape.map((extent) => (typeof extent === "number" ? extent : 1));
  return { dims, data: new Float32Array(dims.reduce((product, extent) => product * extent, 1)).fill(number) };
}

function asDense(graph: PackGraph): PackGraph {
  const operators = graph.operators.map((operator) =>
    operator.op === "Conv" || operator.op === "Gemm" ? ({ ...operator, kernel: "dense" } as const) : operator,
  );
  return { ...graph, operators };
}

type Inputs = Readonly<Record<string, InputTensor>>;

/** Ordinary numbers for every input: zeros would be as fast, subnormal ones thirty times slower. */
function inputsOf({ inputs }: PackGraph): Inputs {
  return Object.fromEntries(
    inputs.map(({ name, dims: extents, whole }) => {
      const dims = extents.map((extent) => (extent === "batch" ? 1 : extent));
      const size = dims.reduce((product, extent) => product * extent, 1);
      return [
        name,
        { dims, data: whole ? new Int32Array(size) : Float32Array.from({ length: size }, (_, i) => Math.sin(i)) },
      ];
    }),
  );
}

async function openOwn(spec: {
  readonly engine: string;
  readonly bytes: Uint8Array;
  readonly inputs: Inputs;
  readonly threads: number;
}): Promise<Engine> {
  const { engine, bytes, inputs, threads } = spec;
  const before = performance.now();
  const opened = await load(bytes, { threads });
  const loadMs = performance.now() - before;
  return {
    engine,
    threads: opened.threads,
    loadMs,
    notes: opened.notes.map(({ message }) => message),
    run: () => opened.run(inputs),
    close: () => opened.close(),
  };
}
