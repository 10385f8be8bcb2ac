import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

/** What a page pays for running packed networks, kernels included. */
const mostBytes = 60_000;

async function bundled(file: string): Promise<string> {
  const entry = fileURLToPath(new URL(`../packages/runtime/${file}`, import.meta.url));
  const result = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, minify: true, lib: { entry, formats: ["es"] } },
  });
  const chunks = [result].flat().flatMap((part) => ("output" in part ? part.output : []));
  return chunks.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("");
}

// As it is published, joined to a few files (by the last build), bundlers must still find what a page does not use.
test.each(["src/index.ts", "dist/index.js"])(
  "the runtime with its kernels is at most 60 kB with brotli: %s",
  async (file) => {
    const code = await bundled(file);
    expect(code).toContain("secateur-runtime");
    expect(brotliCompressSync(code).length).toBeLessThan(mostBytes);
  },
);

test("what stock runtimes load compressed models with is less than a kilobyte as it is sent", async () => {
  const code = await bundled("src/fetch-unpacked.ts");
  expect(code).toContain("DecompressionStream");
  expect(brotliCompressSync(code).length).toBeLessThan(1_000);
});
