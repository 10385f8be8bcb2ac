import { describeKernels } from "@secateur/conformance";
import { test } from "vitest";
import { createWasmKernels, type WasmKernels } from "./create-wasm-kernels.ts";
import { configurations, nameOf } from "./kernels.test-support.ts";

for (const options of configurations) {
  describeKernels({
    test,
    name: nameOf(options),
    create: () => createWasmKernels(options),
    release: (kernels) => (kernels as WasmKernels).close(),
  });
}
