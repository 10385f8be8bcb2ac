/** `secateur bench`: the same network dense and packed, in one process, round after round. */
import { readFileBytes } from "@secateur/formats";
import { load, type Session } from "@secateur/runtime";
import { encodePacked, type PackGraph, packGraph } from "@secateur/runtime/pack";
import type { Session as RunSession } from "../../session.ts";
import { openModel } from "../open/open-model.ts";
import { networkGraph } from "./network-graph.ts";
import { isPacked } from "./packed-checkpoint.ts";

/** One line of `secateur bench --json`. */
export interface BenchDocument {
  readonly model: string;
  /** "secateur" as packed, "secateur-dense" the same network with every weight taking part. */
  readonly engine: string;
  readonly threads: number;
  readonly medianMs: number;
  /** From bytes to a network ready to run. */
  readonly loadMs: number;
  readonly runs: number;
  /** What was not as it was asked for. */
  readonly notes?: readonly string[];
}

/** Rounds at least, and milliseconds that a model's rounds take at least. */
const leastRounds = 15;
const leastMs = 1000;

/** Times a model's engines in turn, so that whatever else the machine does meets all of them. */
export async function runBench(
  spec: { readonly path: string; readonly arch: string | undefined; readonly threads: number },
  session: RunSession,
): Promise<readonly BenchDocument[]> {
  const { path, arch, threads } = spec;
  const bytes = await readFileBytes(path);
  const { network } = await openModel({ path, arch, onEvent: session.onEvent });
  const graph = networkGraph(network);
  const engines = [
    await open("secateur", isPacked(bytes) ? bytes : (await packGraph(graph)).bytes, threads),
    await open("secateur-dense", await encodePacked(asDense(graph), { masks: false }), threads),
  ];
  const times = engines.map((): number[] => []);
  const ctx = session.context();
  for (let began = performance.now(), round = 0; round < leastRounds || performance.now() - began < leastMs; round++) {
    for (const [e, { run }] of engines.entries()) {
      const before = performance.now();
      await run();
      times[e]!.push(performance.now() - before);
    }
    await ctx.tick({ task: "bench", done: round, total: leastRounds });
  }
  return await Promise.all(
    engines.map(async ({ engine, loadMs, opened }, e) => {
      const all = times[e]!.sort((a, b) => a - b);
      const notes = opened.notes.map(({ message }) => message);
      await opened.close();
      const result = {
        model: path,
        engine,
        threads: opened.threads,
        medianMs: all[all.length >> 1]!,
        loadMs,
        runs: all.length,
      };
      return notes.length > 0 ? { ...result, notes } : result;
    }),
  );
}

function asDense(graph: PackGraph): PackGraph {
  const operators = graph.operators.map((operator) =>
    operator.op === "Conv" || operator.op === "Gemm" ? ({ ...operator, kernel: "dense" } as const) : operator,
  );
  return { ...graph, operators };
}

async function open(
  engine: string,
  bytes: Uint8Array,
  threads: number,
): Promise<{ engine: string; loadMs: number; opened: Session; run: () => Promise<unknown> }> {
  const before = performance.now();
  const opened = await load(bytes, { threads });
  const loadMs = performance.now() - before;
  const inputs = Object.fromEntries(
    opened.inputNames.map((name) => {
      const dims = opened.dims[name]!;
      const size = dims.reduce((product, extent) => product * extent, 1);
      // Ordinary numbers: zeros would be as fast, subnormal ones thirty times slower.
      return [name, { dims, data: Float32Array.from({ length: size }, (_, i) => Math.sin(i)) }];
    }),
  );
  const run = (): Promise<unknown> => opened.run(inputs);
  for (let i = 0; i < 3; i++) await run();
  return { engine, loadMs, opened, run };
}
