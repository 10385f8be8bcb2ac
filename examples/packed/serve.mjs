// Serves the page, the compiled runtime and two packed networks: node examples/packed/serve.mjs DENSE.secateur PACKED.secateur
// The content security policy is as strict as the runtime allows: scripts of this server, and WebAssembly.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const runtime = fileURLToPath(new URL("../../packages/runtime/dist/", import.meta.url));
const types = { ".html": "text/html; charset=utf-8", ".mjs": "text/javascript", ".js": "text/javascript" };

/** A server of both files. @param files - bytes by name: "dense.secateur", "packed.secateur" */
export function servePacked(files) {
  return createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname).slice(1) || "index.html";
    try {
      const own = Object.hasOwn(files, path) ? files[path] : undefined;
      const place = path.startsWith("runtime/") ? join(runtime, path.slice("runtime/".length)) : join(folder, path);
      const body = own ?? readFileSync(place);
      response.writeHead(200, {
        "Content-Type": types[extname(path)] ?? "application/octet-stream",
        "Content-Security-Policy": "default-src 'self'; img-src data:; script-src 'self' 'wasm-unsafe-eval'",
      });
      response.end(body);
    } catch {
      response.writeHead(404, { "Content-Type": "text/html" });
      response.end("<!doctype html><p>There is no such file.");
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [dense, packed] = process.argv.slice(2);
  if (packed === undefined) {
    process.stderr.write("usage: node examples/packed/serve.mjs DENSE.secateur PACKED.secateur\n");
    process.exit(2);
  }
  const files = { "dense.secateur": readFileSync(dense), "packed.secateur": readFileSync(packed) };
  servePacked(files).listen(8080, "127.0.0.1", () => process.stdout.write("http://127.0.0.1:8080/\n"));
}
