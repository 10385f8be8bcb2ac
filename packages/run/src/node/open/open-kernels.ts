import { type Kernels, referenceKernels } from "@secateur/core";
import { flagWithoutEffect } from "../../errors.ts";
import type { KernelChoice } from "../../session.ts";

/** Opens the kernels; `close` ends their threads. @throws ERR_USAGE for threads of kernels that have none */
export async function openKernels(
  choice: KernelChoice,
  threads: number | undefined,
): Promise<{ kernels: Kernels; close: () => Promise<void> }> {
  switch (choice) {
    case "reference":
      if (threads !== undefined) {
        throw flagWithoutEffect({ flag: "--threads", reason: "the reference kernels run on one thread" });
      }
      return { kernels: referenceKernels, close: async () => {} };
    case "wasm": {
      const { createWasmKernels } = await import("@secateur/backends-wasm");
      const kernels = await createWasmKernels(threads === undefined ? {} : { threads });
      return { kernels, close: () => kernels.close() };
    }
    default:
      return choice satisfies never;
  }
}
