/** The two compiled forms of the kernels. */
import { noSimd } from "./errors.ts";
import { dataEnd as relaxedDataEnd, wasmBase64 as relaxedSimd } from "./generated/relaxed-simd.generated.ts";
import { wasmBase64 as simd, dataEnd as simdDataEnd } from "./generated/simd.generated.ts";

/** "simd" runs everywhere; "relaxed-simd" fuses multiply and add (faster, one rounding less; Node >= 22). */
export type KernelBuild = "simd" | "relaxed-simd";

/** All builds, the fastest first. */
const kernelBuilds: readonly KernelBuild[] = ["relaxed-simd", "simd"];

/** A compiled build. */
export interface CompiledKernels {
  readonly build: KernelBuild;
  readonly module: WebAssembly.Module;
  /** First byte of memory that its own tables do not use. */
  readonly dataEnd: number;
}

const sources = {
  simd: { base64: simd, dataEnd: simdDataEnd },
  "relaxed-simd": { base64: relaxedSimd, dataEnd: relaxedDataEnd },
} as const;

/** Modules do not change, and compiling one takes longer than loading a small network. */
const compiled = new Map<string, Promise<CompiledKernels>>();

/** The asked-for build, or the fastest that this engine runs; compiled once. @throws ERR_RUNTIME_SIMD */
export function compileKernels(wanted: KernelBuild | undefined, isShared: boolean): Promise<CompiledKernels> {
  const key = `${wanted} ${isShared}`;
  const module = compiled.get(key) ?? compile(wanted, isShared);
  compiled.set(key, module);
  return module;
}

async function compile(wanted: KernelBuild | undefined, isShared: boolean): Promise<CompiledKernels> {
  if (typeof WebAssembly !== "object") throw noSimd();
  for (const build of wanted === undefined ? kernelBuilds : [wanted]) {
    const { base64, dataEnd } = sources[build];
    const binary = bytesOf(base64);
    if (!isShared) importPlainMemory(binary);
    if (WebAssembly.validate(binary)) return { build, module: await WebAssembly.compile(binary), dataEnd };
  }
  throw noSimd();
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  // A loop: calling a function for every byte takes three times as long in a new process.
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Makes the memory that a module imports an ordinary one: its limits begin with a byte of flags, 3 for "has a maximum, is shared" and 1 for
 * "has a maximum". Atomic instructions work on both, so that one module serves pages that may not share memory.
 */
function importPlainMemory(binary: Uint8Array): void {
  const name = [0x06, ...new TextEncoder().encode("memory"), 0x02, 0x03];
  const at = binary.findIndex((_, i) => name.every((byte, j) => binary[i + j] === byte));
  binary[at + name.length - 1] = 0x01;
}
