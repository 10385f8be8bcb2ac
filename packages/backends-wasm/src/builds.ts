/** The two compiled forms of the kernels, and which of them an engine runs. */
import { buildNotSupported } from "./errors.ts";
import { wasmBase64 as relaxedSimd } from "./generated/relaxed-simd.generated.ts";
import { wasmBase64 as simd } from "./generated/simd.generated.ts";

/** "simd" runs everywhere; "relaxed-simd" fuses multiply and add (faster, one rounding less; Node >= 22). */
export type WasmBuild = "simd" | "relaxed-simd";

const sources: Readonly<Record<WasmBuild, string>> = { simd, "relaxed-simd": relaxedSimd };

/** The builds this engine can run, the fastest first. */
export function supportedBuilds(): readonly WasmBuild[] {
  return (["relaxed-simd", "simd"] as const).filter((build) => WebAssembly.validate(binaryOf(build)));
}

/** Compiles the asked-for build, or the fastest that runs. Throws ERR_WASM_BUILD when it does not. */
export async function compileBuild(wanted?: WasmBuild): Promise<{ build: WasmBuild; module: WebAssembly.Module }> {
  for (const build of wanted === undefined ? (["relaxed-simd", "simd"] as const) : [wanted]) {
    const binary = binaryOf(build);
    if (WebAssembly.validate(binary)) return { build, module: await WebAssembly.compile(binary) };
  }
  throw buildNotSupported(wanted ?? "simd");
}

function binaryOf(build: WasmBuild): Uint8Array<ArrayBuffer> {
  const binary = atob(sources[build]);
  const bytes = new Uint8Array(binary.length);
  // A loop of its own: `from` takes 15 ms for this.
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
