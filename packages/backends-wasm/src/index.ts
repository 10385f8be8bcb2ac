export { supportedBuilds, type WasmBuild } from "./builds.ts";
export { createWasmKernels, type WasmKernelOptions, type WasmKernels } from "./create-wasm-kernels.ts";
