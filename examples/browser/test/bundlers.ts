/**
 * `npm run test:browser`: the same ten lines that run a packed network, without a bundler and built by Vite, webpack and esbuild as
 * docs/hosting.md says, opened in headless Chromium. Checked: the class is the one that Node gives, two threads run, nothing is logged, all
 * under a policy that allows scripts of the page's own server, WebAssembly and workers from blobs.
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { architecture, createNetwork } from "@secateur/nn";
import { findChromium, howToGetChromium } from "@secateur/run/node";
import { load } from "@secateur/runtime";
import { lowerNetwork, packGraph } from "@secateur/runtime/pack";
import * as esbuild from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import webpack from "webpack";

const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'; img-src data:";
const types: Readonly<Record<string, string>> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript" };
const runtime = fileURLToPath(new URL("../../../packages/runtime/dist", import.meta.url));

/** Where the package is found, and git looks past. */
const folder = fileURLToPath(new URL("../node_modules/.bundlers", import.meta.url));

/** A page's script: where it takes the runtime and the network's address from differs, the rest does not. */
const script = (runtimeFrom: string, address: string): string => `import { load } from "${runtimeFrom}";
${address}
async function main() {
  const session = await load(address, { threads: 2 });
  const [input] = session.inputNames;
  const dims = session.dims[input];
  const data = Float32Array.from({ length: dims.reduce((size, extent) => size * extent, 1) }, (_, i) => Math.sin(i));
  const outputs = await session.run({ [input]: { data, dims } });
  const scores = outputs[session.outputNames[0]].data;
  return JSON.stringify({ class: scores.indexOf(Math.max(...scores)), threads: session.threads, notes: session.notes });
}
main().then(
  (text) => { document.title = text; },
  (error) => { document.title = String(error); },
);
`;

/** Each way: what the script says, and how a folder of files to serve is made from "main.js" and "net.secateur" in another. */
const ways: Readonly<Record<string, { readonly script: string; make(from: string, to: string): Promise<void> }>> = {
  "no bundler": {
    script: script("./runtime/index.js", 'const address = new URL("./net.secateur", import.meta.url);'),
    async make(from, to) {
      for (const name of ["main.js", "net.secateur"]) cpSync(join(from, name), join(to, name));
      cpSync(runtime, join(to, "runtime"), { recursive: true });
    },
  },
  Vite: {
    script: script("@secateur/runtime", 'import address from "./net.secateur?url&no-inline";'),
    async make(from, to) {
      await build({
        ...{ root: from, configFile: false, logLevel: "error" },
        build: {
          outDir: to,
          rolldownOptions: { input: join(from, "main.js"), output: { entryFileNames: "main.js" } },
        },
      });
    },
  },
  webpack: {
    script: script("@secateur/runtime", 'const address = new URL("./net.secateur", import.meta.url);'),
    async make(from, to) {
      await new Promise<void>((resolve, reject) => {
        const options = { mode: "production", context: from, entry: "./main.js", output: { path: to } } as const;
        webpack(options, (error, stats) => {
          if (error || stats?.hasErrors()) reject(error ?? new Error(stats!.toString("errors-only")));
          else resolve();
        });
      });
    },
  },
  esbuild: {
    script: script(
      "@secateur/runtime",
      'import file from "./net.secateur";\nconst address = new URL(file, import.meta.url);',
    ),
    async make(from, to) {
      await esbuild.build({
        ...{ entryPoints: [join(from, "main.js")], outdir: to, bundle: true, minify: true, format: "esm" },
        ...{ loader: { ".secateur": "file" }, logLevel: "error" },
      });
    },
  },
};

const executablePath = findChromium();
if (executablePath === undefined) {
  process.stderr.write(`test:browser: ${howToGetChromium}\n`);
  process.exit(2);
}
const packed = await network();
const expected = await classInNode(packed);
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, headless: true, args });
try {
  for (const [name, { script: text, make }] of Object.entries(ways)) {
    const [from, to] = [join(folder, name, "source"), join(folder, name, "served")];
    rmSync(join(folder, name), { recursive: true, force: true });
    for (const path of [from, to]) mkdirSync(path, { recursive: true });
    writeFileSync(join(from, "main.js"), text);
    writeFileSync(join(from, "net.secateur"), packed);
    await make(from, to);
    writeFileSync(
      join(to, "index.html"),
      '<!doctype html><link rel="icon" href="data:,"><script type="module" src="main.js"></script>',
    );
    const found = await runIn(browser, serve(to));
    assert.deepEqual(found, { class: expected, threads: 2, notes: [] }, name);
    process.stdout.write(`${name}: main.js has ${readFileSync(join(to, "main.js")).length} bytes\n`);
  }
  process.stdout.write("The packed network runs in pages of every bundler.\n");
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}

/** What the page says once its script has run. */
async function runIn(opened: Browser, server: Server): Promise<unknown> {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const page = await opened.newPage();
  const logged: string[] = [];
  page.on("console", (message) => logged.push(message.text()));
  page.on("pageerror", (error) => logged.push(String(error)));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.waitForFunction(() => document.title !== "", undefined, { timeout: 30_000 }).catch(() => undefined);
  const title = await page.title();
  await page.close();
  server.closeAllConnections();
  server.close();
  assert.deepEqual(logged, []);
  return JSON.parse(title);
}

function serve(root: string): Server {
  return createServer((request, response) => {
    const path = new URL(request.url!, "http://localhost").pathname;
    const file = join(root, path === "/" ? "index.html" : path);
    let body: Buffer | undefined;
    try {
      body = readFileSync(file);
    } catch {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "Content-Type": types[extname(file)] ?? "application/octet-stream",
      "Content-Security-Policy": policy,
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    });
    response.end(body);
  });
}

/** LeNet-5 with random weights, three of four of them zero: more than bundlers write into a script. */
async function network(): Promise<Uint8Array> {
  const spec = architecture("lenet5");
  const tensors = createNetwork(spec, { seed: 3 })
    .tensors()
    .map(
      ({ name, shape, data }) =>
        [
          name,
          { dims: shape, data: Float32Array.from(data, (value, i) => (shape.length > 1 && i % 4 > 0 ? 0 : value)) },
        ] as const,
    );
  return (await packGraph(lowerNetwork(spec, new Map(tensors)), { values: "int8" })).bytes;
}

async function classInNode(bytes: Uint8Array): Promise<number> {
  const session = await load(bytes);
  const [input, output] = [session.inputNames[0]!, session.outputNames[0]!];
  const dims = session.dims[input]!;
  const data = Float32Array.from({ length: dims.reduce((size, extent) => size * extent, 1) }, (_, i) => Math.sin(i));
  const scores = (await session.run({ [input]: { data, dims } }))[output]!.data;
  return scores.indexOf(Math.max(...scores));
}
