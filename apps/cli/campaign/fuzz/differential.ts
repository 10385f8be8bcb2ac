/**
 * ONNX files judged twice: by us and by the onnxruntime-node that a folder has installed. What onnxruntime refuses to open or to run and we
 * accept without a word is a fault, and so are outputs that differ; what we alone refuse is not.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { createRunContext, isPruneError, regression } from "@secateur/core";
import { decodeOnnx, type OnnxGraph } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { onnx } from "./formats/onnx.ts";
import type { FuzzFormat } from "./fuzz-format.ts";

/** The part of onnxruntime-node that is used. */
interface Runtime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: object): Promise<Session>;
  };
  readonly Tensor: new (type: string, data: Float32Array, dims: readonly number[]) => object;
}

interface Session {
  run(feeds: object): Promise<Readonly<Record<string, { readonly data: ArrayLike<number | bigint> }>>>;
  release(): Promise<void>;
}

/** The largest difference of outputs, as a share of the largest of them or of 1: f32 sums in two orders. */
const most = 1e-4;
/** Bytes of the inputs that are fed. */
const mostInput = 4096;

/** @throws where the folder has no onnxruntime-node */
export function differentialOnnx(folder: string): FuzzFormat {
  const runtime = createRequire(join(folder, "package.json"))("onnxruntime-node") as Runtime;
  return {
    ...onnx,
    name: "onnx beside onnxruntime",
    async read(bytes) {
      const ours = await ourVerdict(bytes).catch((error: unknown) => {
        if (isPruneError(error)) return error;
        throw error;
      });
      if (ours instanceof Error) throw ours;
      if (ours.isTold) return bytes.length;
      const theirs = await theirVerdict(runtime, bytes, ours.shape);
      if (typeof theirs === "string") throw new Error(`accepted, but onnxruntime says: ${theirs.slice(0, 400)}`);
      const [worst, scale] = differenceOf(ours.outputs, theirs);
      if (!(worst <= most * scale)) throw new Error(`outputs differ by ${worst} of ${scale}`);
      return bytes.length;
    },
  };
}

interface Verdict {
  /** Of the input that was fed. */
  readonly shape: readonly number[];
  readonly name: string;
  /** Whether opening it says what is wrong. */
  readonly isTold: boolean;
  readonly outputs: Readonly<Record<string, ArrayLike<number>>>;
}

async function ourVerdict(bytes: Uint8Array): Promise<Verdict> {
  const { graph, opsets } = decodeOnnx(bytes, "net.onnx");
  const model = createGraphModel({ graph, opsets, name: "net" });
  const { name, shape } = inputOf(graph);
  const none = { shape, name, outputs: {} };
  // Operators that are not known are told of wherever they matter.
  const isTold = model.unknownOperators.size > 0;
  // Whoever runs it plans it: what does not fit is refused then.
  if (!isTold) await model.flops();
  if (!model.run || shape.length === 0) return { ...none, isTold };
  const data = inputNumbers(shape);
  const outputs = await model.run({ size: shape[0]!, inputs: { [name]: { shape, data } } }, createRunContext(), {
    task: regression(),
  });
  return {
    ...none,
    isTold,
    outputs: Object.fromEntries(Object.entries(outputs).map(([key, { data: found }]) => [key, found])),
  };
}

/** The only input and two examples of it; without a shape where it is not fed. */
function inputOf({ inputs }: OnnxGraph): { readonly name: string; readonly shape: readonly number[] } {
  const [first] = inputs;
  const shape = first?.shape?.map((extent, i) => (typeof extent === "number" ? extent : i === 0 ? 2 : 1)) ?? [];
  const size = shape.reduce((product, extent) => product * extent, 1);
  const isFed = inputs.length === 1 && first?.dtype === "f32" && size > 0 && size <= mostInput;
  return { name: first?.name ?? "", shape: isFed ? shape : [] };
}

function inputNumbers(shape: readonly number[]): Float32Array {
  const length = shape.reduce((product, extent) => product * extent, 1);
  return Float32Array.from({ length }, (_, i) => Math.sin(1.7 * i));
}

/** Outputs, or why there are none. */
async function theirVerdict(
  runtime: Runtime,
  bytes: Uint8Array,
  shape: readonly number[],
): Promise<Readonly<Record<string, ArrayLike<number | bigint>>> | string> {
  let session: Session | undefined;
  try {
    session = await runtime.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 });
    if (shape.length === 0) return {};
    const { name } = inputOf(decodeOnnx(bytes, "net.onnx").graph);
    const found = await session.run({ [name]: new runtime.Tensor("float32", inputNumbers(shape), shape) });
    return Object.fromEntries(Object.entries(found).map(([key, { data }]) => [key, data]));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await session?.release();
  }
}

/** Of the outputs that both have: the largest difference, and the largest number or 1. What is no number in both agrees. */
function differenceOf(
  ours: Verdict["outputs"],
  theirs: Readonly<Record<string, ArrayLike<number | bigint>>>,
): readonly [number, number] {
  let [worst, scale] = [0, 1];
  for (const [name, found] of Object.entries(ours)) {
    const wanted = theirs[name];
    if (!wanted) continue;
    for (let i = 0; i < Math.max(found.length, wanted.length); i++) {
      const [a, b] = [found[i] ?? Number.NaN, Number(wanted[i] ?? Number.NaN)];
      if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b) && i < Math.min(found.length, wanted.length)))
        continue;
      worst = Math.max(worst, Number.isFinite(a - b) ? Math.abs(a - b) : Number.POSITIVE_INFINITY);
      if (Number.isFinite(b)) scale = Math.max(scale, Math.abs(b));
    }
  }
  return [worst, scale];
}
