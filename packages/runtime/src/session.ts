/** A loaded network. */
import { badArgument, noMemory, quoted, sessionClosed } from "./errors.ts";
import { fetchBytes } from "./fetch-bytes.ts";
import { decodePacked } from "./file/decode-packed.ts";
import type { PackedModel } from "./file/packed-model.ts";
import { type InputTensor, type Tensor, type ViewedPort, writeInputs } from "./inputs.ts";
import { compileKernels, type KernelBuild } from "./kernel-builds.ts";
import { makePlan, type Plan, type Port } from "./plan/plan.ts";
import { whyNoThreads } from "./threads/start-worker.ts";
import { type KernelExports, startTeam, type Team } from "./threads/team.ts";

/** How `load` loads. */
export interface LoadOptions {
  /** Threads that share a run, the caller's among them; default 1. Results are the same bytes for any number. */
  readonly threads?: number;
  /** The first extent of inputs that leave it open; default 1. */
  readonly batch?: number;
  /** "simd" or "relaxed-simd"; default: the fastest that this engine runs. */
  readonly build?: KernelBuild;
  /** The most that the file may unpack to, and the network may take; default 2 GiB. */
  readonly maxMemoryBytes?: number;
}

/** Time of one operator, or of two that run together, named "first + second" with what the second one is. */
export interface OperatorTime {
  readonly name: string;
  readonly op: string;
  /** "dense", "sparse", ... for operators with weights. */
  readonly kernel?: string;
  /** Milliseconds, median over the runs. */
  readonly ms: number;
}

/** A network that is ready to run. */
export interface Session {
  /** Inputs that `run` needs. */
  readonly inputNames: readonly string[];
  /** Outputs that `run` gives. */
  readonly outputNames: readonly string[];
  /** Inputs that take what an output was in the run before; zeros in the first. */
  readonly stateNames: readonly string[];
  /** Extents of inputs and outputs by name. */
  readonly dims: Readonly<Record<string, readonly number[]>>;
  /** What the file says of itself: recipe, accuracy, labels, normalisation. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Threads that take part. */
  readonly threads: number;
  readonly build: KernelBuild;
  /** Bytes of memory, all of which was taken when loading. */
  readonly memoryBytes: number;
  /** What is not as it was asked for, each with a stable code. */
  readonly notes: readonly { readonly code: string; readonly message: string }[];
  /**
   * Runs the network once. Takes no memory but for the outputs, which are the caller's. Runs of one session happen one after the other.
   *
   * @param inputs - by name: numbers and the extents of `dims`; those of a state may be given too, and count for this run
   * @throws ERR_RUNTIME_ARGUMENT (a missing or unknown input, other extents or types), ERR_RUNTIME_CLOSED, ERR_RUNTIME_THREAD
   */
  run(inputs: Readonly<Record<string, InputTensor>>): Promise<Record<string, Tensor>>;
  /** Sets all states to zero, as they are after loading. */
  reset(): void;
  /** Time of every operator on one thread, on the numbers of the last run. @param options.runs - default 10 */
  profile(options?: { readonly runs?: number }): readonly OperatorTime[];
  /** Ends the threads and frees the memory. */
  close(): Promise<void>;
}

const optionNames: readonly string[] = ["threads", "batch", "build", "maxMemoryBytes"] satisfies (keyof LoadOptions)[];
const pageBytes = 65536;
const maxThreads = 64;

/**
 * Loads a packed network.
 *
 * @param source - the bytes of a .secateur file, an address to fetch, or in Node a path
 * @throws ERR_PACKED_MAGIC, ERR_PACKED_VERSION, ERR_PACKED_DAMAGED, ERR_PACKED_GRAPH, ERR_PACKED_MEMORY, ERR_PACKED_FETCH,
 *   ERR_RUNTIME_SIMD, ERR_RUNTIME_MEMORY, ERR_RUNTIME_ARGUMENT
 * @example
 * const session = await load("net.secateur");
 * const { logits } = await session.run({ input: { data, dims: [1, 3, 32, 32] } });
 */
export async function load(
  source: string | URL | Uint8Array | ArrayBuffer,
  options: LoadOptions = {},
): Promise<Session> {
  const { threads = 1, batch = 1, maxMemoryBytes = 2 ** 31 } = options;
  const stranger = Object.keys(options).find((key) => !optionNames.includes(key));
  if (stranger !== undefined) throw badArgument("load", `the option ${quoted(stranger)}`, optionNames.join(", "));
  assertWhole("load: threads", threads, maxThreads);
  assertWhole("load: batch", batch, 2 ** 20);
  if (typeof source !== "string" && (typeof source !== "object" || source === null))
    throw badArgument("load", String(source), "an address, or the bytes of a .secateur file");
  const bytes =
    source instanceof Uint8Array
      ? source
      : source instanceof ArrayBuffer
        ? new Uint8Array(source)
        : await fetchBytes(source);
  const model = await decodePacked(bytes, { maxMemoryBytes });
  if (batch > 1 && !model.inputs.some(({ dims }) => dims[0] === "batch"))
    throw badArgument("load: batch", String(batch), "1: the network was packed for inputs of one size");
  return openSession(model, { threads, batch, maxMemoryBytes, ...(options.build ? { build: options.build } : {}) });
}

/** Plans a decoded network and makes it ready to run. @throws as `load` */
async function openSession(
  model: PackedModel,
  { threads, batch, maxMemoryBytes, build: wanted }: Required<Omit<LoadOptions, "build">> & Pick<LoadOptions, "build">,
): Promise<Session> {
  const notes: { code: string; message: string }[] = [];
  const reason = threads > 1 ? whyNoThreads() : undefined;
  if (reason)
    notes.push({ code: "NOTE_ONE_THREAD", message: `asked for ${threads} threads, running on one: ${reason}` });
  const isAlone = threads === 1 || reason !== undefined;
  const start = async (count: number): Promise<Started> => {
    const { build, module, dataEnd } = await compileKernels(wanted, count > 1);
    const plan = makePlan(model, { batch, threads: count, start: dataEnd, maxMemoryBytes });
    const memory = makeMemory(plan.totalBytes, count > 1);
    plan.write(memory.buffer);
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    const kernels = exports as unknown as KernelExports;
    const team = count > 1 ? await startTeam({ threads: count, module, memory, exports: kernels, plan }) : undefined;
    return { build, plan, memory, kernels, team };
  };
  let started: Started;
  try {
    started = await start(isAlone ? 1 : threads);
  } catch (error) {
    if (isAlone || (error as { code?: string }).code !== "ERR_RUNTIME_THREAD") throw error;
    // A page's content security policy may forbid workers that are made from text.
    notes.push({
      code: "NOTE_ONE_THREAD",
      message: `asked for ${threads} threads, running on one: workers do not start here`,
    });
    started = await start(1);
  }
  return createSession(model, started, notes);
}

interface Started {
  readonly build: KernelBuild;
  readonly plan: Plan;
  readonly memory: WebAssembly.Memory;
  readonly kernels: KernelExports;
  readonly team: Team | undefined;
}

function createSession(model: PackedModel, started: Started, notes: Session["notes"]): Session {
  const { build, plan, memory, team } = started;
  let kernels: KernelExports | undefined = started.kernels;
  const withView = (port: Port): ViewedPort => {
    const size = port.dims.reduce((product, extent) => product * extent, 1);
    return { ...port, view: new Float32Array(memory.buffer, port.region.address, size) };
  };
  const inputs = plan.inputs.map(withView);
  const outputs = plan.outputs.map(withView);
  const states = (model.states ?? []).map(({ input, output }) => ({
    input: inputs.find(({ name }) => name === input)!,
    output: outputs.find(({ name }) => name === output)!,
  }));
  const free = inputs.filter((port) => !states.some(({ input }) => input === port));
  const given = outputs.filter((port) => !states.some(({ output }) => output === port));
  const names = (ports: readonly ViewedPort[]): readonly string[] => ports.map(({ name }) => name);
  const opened = (): KernelExports => {
    if (!kernels) throw sessionClosed();
    return kernels;
  };
  return {
    inputNames: names(free),
    outputNames: names(given),
    stateNames: names(states.map(({ input }) => input)),
    dims: Object.fromEntries([...inputs, ...outputs].map(({ name, dims }) => [name, dims])),
    metadata: model.metadata,
    threads: team?.threads ?? 1,
    build,
    memoryBytes: plan.totalBytes,
    notes,
    async run(told) {
      const running = opened();
      writeInputs({ inputs, needed: free, given: told });
      if (team) team.run();
      else running.run(plan.program, 0, plan.steps.length);
      for (const { input, output } of states) input.view.set(output.view);
      return Object.fromEntries(given.map(({ name, dims, view }) => [name, { data: Float32Array.from(view), dims }]));
    },
    reset() {
      for (const { input } of states) input.view.fill(0);
    },
    profile: ({ runs = 10 } = {}) => profileSteps(plan, opened(), runs),
    async close() {
      kernels = undefined;
      await team?.close();
    },
  };
}

function profileSteps(plan: Plan, kernels: KernelExports, runs: number): readonly OperatorTime[] {
  assertWhole("session.profile: runs", runs, 1e6);
  const joined = new Map(
    plan.steps.flatMap(({ operator, joined: first }) => (first === undefined ? [] : [[operator, first] as const])),
  );
  /** Of what runs inside a later operator: that one, under which all its other steps are told, too. */
  const inside = new Map([...joined].map(([second, first]) => [first, second]));
  const times = plan.operators.map(() => new Float64Array(runs));
  for (let run = 0; run < runs; run++) {
    plan.steps.forEach(({ operator, joined: first }, s) => {
      const before = performance.now();
      kernels.run(plan.program, s, s + 1);
      const told = first === undefined ? (inside.get(operator) ?? operator) : operator;
      if (told >= 0) times[told]![run]! += performance.now() - before;
    });
  }
  return plan.operators.flatMap(({ name, op, kernel }, o): OperatorTime[] => {
    // An operator that runs together with the next is told with it.
    if (inside.has(o)) return [];
    const before = joined.get(o);
    const whole = before === undefined ? name : `${plan.operators[before]!.name} + ${name}`;
    const ms = times[o]!.sort()[runs >> 1]!;
    return [{ name: whole, op, ...(kernel ? { kernel } : {}), ms }];
  });
}

function makeMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = Math.ceil(bytes / pageBytes);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    throw noMemory(bytes, cause);
  }
}

function assertWhole(where: string, found: number, most: number): void {
  if (!Number.isInteger(found) || found < 1 || found > most)
    throw badArgument(where, String(found), `a whole number from 1 to ${most}`);
}
