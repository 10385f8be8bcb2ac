/** Looks over the shoulder of an engine: runs code while chosen kernels report what they were called with. */
import type { KernelAttributes, TensorInfo, Tf } from "../tf.ts";

/** One call of a kernel. */
export interface KernelCall {
  readonly name: string;
  readonly inputs: Readonly<Record<string, TensorInfo | undefined>>;
  readonly attributes: KernelAttributes;
  readonly output: TensorInfo;
  /** All outputs, where there are several. */
  readonly outputs: readonly TensorInfo[];
}

/** What stands in for a kernel; `run` is the kernel itself, with other inputs. */
export type KernelReplacement = (
  attributes: KernelAttributes,
  call: {
    readonly inputs: KernelCall["inputs"];
    readonly run: (inputs: KernelCall["inputs"]) => TensorInfo;
  },
) => TensorInfo;

/**
 * Runs `work` synchronously with kernels of the present engine watched or replaced, and puts them back whatever happens.
 *
 * @param spec.watch - names of kernels; those the engine does not have are left out
 * @param spec.onCall - called after each of their calls
 * @param spec.replace - kernels with another implementation meanwhile
 */
export function withWatchedKernels<T>(
  tf: Tf,
  spec: {
    readonly watch: readonly string[];
    readonly onCall: (call: KernelCall) => void;
    readonly replace?: Readonly<Record<string, KernelReplacement>>;
  },
  work: () => T,
): T {
  const backendName = tf.getBackend();
  type Config = NonNullable<ReturnType<Tf["getKernel"]>>;
  const originals: Config[] = [];
  const swap = (name: string, makeFunc: (original: Config) => Config["kernelFunc"]): void => {
    const original = tf.getKernel(name, backendName);
    if (!original) return;
    originals.push(original);
    tf.unregisterKernel(name, backendName);
    tf.registerKernel({ ...original, kernelFunc: makeFunc(original) });
  };
  try {
    for (const name of spec.watch) {
      swap(name, (original) => (params) => {
        const result = original.kernelFunc(params);
        const outputs = Array.isArray(result) ? result : [result];
        const inputs = params.inputs as KernelCall["inputs"];
        spec.onCall({ name, inputs, attributes: params.attrs ?? {}, output: outputs[0]!, outputs });
        return result;
      });
    }
    for (const [name, replacement] of Object.entries(spec.replace ?? {})) {
      swap(name, (original) => (params) => {
        const inputs = params.inputs as KernelCall["inputs"];
        const run = (changed: KernelCall["inputs"]): TensorInfo =>
          original.kernelFunc({ ...params, inputs: changed as typeof params.inputs }) as TensorInfo;
        return replacement(params.attrs ?? {}, { inputs, run });
      });
    }
    return work();
  } finally {
    for (const original of originals) {
      tf.unregisterKernel(original.kernelName, backendName);
      tf.registerKernel(original);
    }
  }
}
