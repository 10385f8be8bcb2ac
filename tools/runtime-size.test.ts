import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

/** What a page pays for running packed networks, kernels included. */
const mostBytes = 60_000;

test("the runtime with its kernels is at most 60 kB with brotli", async () => {
  const entry = fileURLToPath(new URL("../packages/runtime/src/index.ts", import.meta.url));
  const result = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, minify: true, lib: { entry, formats: ["es"] } },
  });
  const chunks = [result].flat().flatMap((part) => ("output" in part ? part.output : []));
  const code = chunks.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("");
  expect(code).toContain("secateur-runtime");
  expect(brotliCompressSync(code).length).toBeLessThan(mostBytes);
});
