import { type Kernels, referenceKernels } from "@secateur/core";

/** The kernels that --kernels chooses among. */
export const kernelChoices = ["wasm", "reference"] as const;

/** One of {@link kernelChoices}. */
export type KernelChoice = (typeof kernelChoices)[number];

/** Opens the kernels; `close` ends their threads. */
export async function openKernels(
  choice: KernelChoice,
  threads: number | undefined,
): Promise<{ kernels: Kernels; close: () => void }> {
  switch (choice) {
    case "reference":
      return { kernels: referenceKernels, close: () => {} };
    case "wasm": {
      const { createWasmKernels } = await import("@secateur/backends-wasm");
      const kernels = await createWasmKernels(threads === undefined ? {} : { threads });
      return { kernels, close: () => kernels.close() };
    }
    default:
      return choice satisfies never;
  }
}
