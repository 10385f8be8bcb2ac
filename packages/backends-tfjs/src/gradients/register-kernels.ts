/**
 * The gradient kernels that TensorFlow.js's WASM engine lacks, registered through its public kernel registry: with them
 * convolutional and embedding models train and give gradients on that engine.
 */
import { PruneError } from "@secateur/core";
import type { KernelAttributes, TensorInfo, Tf } from "../tf.ts";
import { convGeometry } from "./conv-geometry.ts";
import { createGradientKernels, type GradientKernels } from "./gradient-kernels.ts";

/** What the kernels need of the WASM engine. */
interface WasmBackend {
  makeOutput(shape: readonly number[], dtype: string): TensorInfo;
  /** A view of the engine's memory; another allocation may detach it. */
  typedArrayFromHeap(info: TensorInfo): Float32Array | Int32Array;
}

interface Call {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly attrs: KernelAttributes;
  readonly backend: WasmBackend;
  readonly kernels: GradientKernels;
  readonly tf: Tf;
}

const implementations: Readonly<Record<string, (call: Call) => TensorInfo>> = {
  Conv2DBackpropFilter: (call) => filterGradient(call, { depthwise: false }),
  DepthwiseConv2dNativeBackpropFilter: (call) => filterGradient(call, { depthwise: true }),
  DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  UnsortedSegmentSum: segmentSum,
};

/**
 * Registers the kernels for the engine "wasm" where it has none of its own. Without effect on other engines, and when called
 * again.
 *
 * @returns the names registered by this call
 * @example
 * await tf.setBackend("wasm");
 * registerGradientKernels(tf);
 */
export function registerGradientKernels(tf: Tf): readonly string[] {
  const missing = Object.keys(implementations).filter((name) => tf.getKernel(name, "wasm") === undefined);
  if (missing.length === 0) return missing;
  const kernels = createGradientKernels();
  for (const kernelName of missing) {
    tf.registerKernel({
      kernelName,
      backendName: "wasm",
      kernelFunc: ({ inputs, attrs, backend }) => {
        return implementations[kernelName]!({
          inputs: inputs as Readonly<Record<string, TensorInfo>>,
          attrs: attrs ?? {},
          backend: backend as WasmBackend,
          kernels,
          tf,
        });
      },
    });
  }
  return missing;
}

function filterGradient(call: Call, { depthwise }: { depthwise: boolean }): TensorInfo {
  const { inputs, attrs, backend, kernels, tf } = call;
  const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo };
  const filter = attrs["filterShape"] as unknown as number[];
  const geometry = convGeometry(tf, { input: x.shape, filter, attributes: attrs, depthwise });
  if (!geometry) throw channelsFirst();
  const result = backend.makeOutput(filter, "float32");
  const out = heap(backend, result);
  const spec = { geometry, x: heap(backend, x), dy: heap(backend, dy), runs: [[0, geometry.batch]] as const };
  if (depthwise) kernels.depthwiseFilterGradient(spec, (gradient) => out.set(gradient));
  else kernels.filterGradient(spec, (gradient) => out.set(gradient));
  return result;
}

function depthwiseInputGradient({ inputs, attrs, backend, kernels, tf }: Call): TensorInfo {
  const { dy, filter } = inputs as { dy: TensorInfo; filter: TensorInfo };
  const input = attrs["inputShape"] as unknown as number[];
  const geometry = convGeometry(tf, { input, filter: filter.shape, attributes: attrs, depthwise: true });
  if (!geometry) throw channelsFirst();
  const result = backend.makeOutput(input, "float32");
  const out = heap(backend, result);
  kernels.depthwiseInputGradient({ geometry, dy: heap(backend, dy), filter: heap(backend, filter), out });
  return result;
}

function segmentSum({ inputs, attrs, backend, kernels }: Call): TensorInfo {
  const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
  const segments = attrs["numSegments"] as number;
  const rest = x.shape.slice(segmentIds.shape.length);
  const result = backend.makeOutput([segments, ...rest], x.dtype);
  const cols = rest.reduce((product, extent) => product * extent, 1);
  const out = heap(backend, result);
  // Sums of whole numbers are exact in f32 up to 2^24, and TensorFlow.js has no larger segments of them.
  const values = Float32Array.from(backend.typedArrayFromHeap(x));
  const ids = Int32Array.from(backend.typedArrayFromHeap(segmentIds));
  const sums = new Float32Array(out.length);
  kernels.segmentSum({ x: values, ids, cols, out: sums });
  backend.typedArrayFromHeap(result).set(sums);
  return result;
}

function heap(backend: WasmBackend, info: TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(info) as Float32Array;
}

function channelsFirst(): PruneError {
  return new PruneError(
    "ERR_TFJS_MODEL",
    "a convolution of the model has its channels first, and TensorFlow.js's WASM engine computes channels last; choose the engine cpu, or convert the model to channels last",
  );
}
