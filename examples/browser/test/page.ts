/**
 * `npm run test:browser`: builds the page, opens it in headless Chromium and prunes at 95 %. Checked: it becomes ready on
 * several threads, progress moves, the kept weights are exactly k, the accuracy is the command line's, the bytes are Node's,
 * the pictures are drawn, Stop stops, and nothing is logged as an error. Prints sizes and times.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { createWasmKernels } from "@secateur/backends-wasm";
import { prune } from "@secateur/core";
import { openDataset } from "@secateur/datasets";
import { gaussNewton } from "@secateur/fisher";
import { decodeSafetensors, toFloat32 } from "@secateur/formats";
import { architecture, createNetwork } from "@secateur/nn";
import { findChromium, howToGetChromium } from "@secateur/run/node";
import { chita } from "@secateur/solvers-chita";
import { type Browser, chromium, type Page } from "playwright-core";
import { build, preview } from "vite";

/** Raw bytes of the scripts and styles that the page loads, at most. */
const largestBundle = 450_000;

const folder = fileURLToPath(new URL("..", import.meta.url));
const executablePath = findChromium();
if (executablePath === undefined) {
  process.stderr.write(`test:browser: ${howToGetChromium}\n`);
  process.exit(2);
}
const configFile = join(folder, "vite.config.ts");
await build({ configFile, logLevel: "error" });
printSizes();
const server = await preview({ configFile, logLevel: "error", preview: { port: 0, host: "127.0.0.1" } });
// Chromium refuses its sandbox to root, as in most containers.
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, headless: true, args });
try {
  await testPage(browser, server.resolvedUrls?.local[0] ?? "");
  process.stdout.write("The page works.\n");
} finally {
  await browser.close();
  await server.close();
}

function printSizes(): void {
  const assets = join(folder, "dist/assets");
  const files = readdirSync(assets).map((name) => ({ name, bytes: readFileSync(join(assets, name)) }));
  const brotli = (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  let [raw, packed] = [0, 0];
  for (const { name, bytes } of files) {
    raw += bytes.length;
    packed += brotli(bytes).length;
    process.stdout.write(`${name}: ${bytes.length} bytes, ${brotli(bytes).length} with brotli\n`);
  }
  process.stdout.write(`bundle: ${raw} bytes, ${packed} with brotli (limit: ${largestBundle} bytes)\n`);
  assert.ok(raw <= largestBundle, `the bundle has ${raw} bytes, more than ${largestBundle}`);
}

async function testPage(browser: Browser, url: string): Promise<void> {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  try {
    await usePage(page, url);
  } catch (error) {
    const shown = await page.locator("#status").textContent();
    throw new Error(`the page shows '${shown}'${problems.map((text) => `; ${text}`).join("")}`, { cause: error });
  }
  assert.deepEqual(problems, []);
}

async function usePage(page: Page, url: string): Promise<void> {
  await page.goto(url);
  const status = page.locator("#status");
  await page.locator("#prune:enabled").waitFor({ timeout: 60_000 });
  const ready = (await status.textContent()) ?? "";
  process.stdout.write(`${ready}\n`);
  assert.match(ready, /^Ready: 97\.61 % .*wasm-(relaxed-)?simd, \d+ thread/);

  // Stop in the middle: the page is ready for the next run, and what follows is not changed by it.
  await page.locator("#prune").click();
  await page.locator("#status", { hasText: /^stage [2-9]/ }).waitFor({ timeout: 60_000 });
  await page.locator("#stop").click();
  await page.locator("#status", { hasText: "Stopped." }).waitFor({ timeout: 30_000 });

  const bars: number[] = [];
  await page.exposeFunction("sawProgress", (value: number) => bars.push(value));
  await page.evaluate(() => {
    const bar = document.querySelector("progress")!;
    const told = globalThis as unknown as { sawProgress(value: number): void };
    new MutationObserver(() => told.sawProgress(bar.value)).observe(bar, { attributes: true });
  });
  await setSlider(page, "95");
  await page.locator("#prune").click();
  await page.locator("#status[data-sha256]").waitFor({ timeout: 300_000 });
  process.stdout.write(`95 %: ${await status.textContent()}\n`);
  const [accuracy, kept, sha256] = await Promise.all(
    ["accuracy", "kept", "sha256"].map((name) => status.getAttribute(`data-${name}`)),
  );
  assert.equal(Number(kept), 1618);
  assert.ok(Number(accuracy) > 95, `accuracy ${accuracy}`);
  assert.ok(new Set(bars).size > 5, `the progress bar stood at ${bars.join(", ")} only`);
  assert.ok(
    (await page.locator("#curve circle").count()) === 2 && (await page.locator("#curve polyline").count()) === 1,
  );
  const painted = await paintedPixels(page);
  assert.ok(painted > 200 && painted < 1618, `${painted} pixels of weights are painted`);

  const build = /wasm-(\S+),/.exec(ready)?.[1] as "simd" | "relaxed-simd";
  assert.equal(sha256, await hashInNode(build));
  process.stdout.write(`The ${kept} kept weights are the bytes that Node computes with ${build}.\n`);
  const pictures = join(folder, "generated");
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, "page.png"), fullPage: true });
}

async function setSlider(page: Page, value: string): Promise<void> {
  await page.locator("#sparsity").fill(value);
  assert.equal(await page.locator("#sparsity-text").textContent(), `${value} %`);
}

/** Pixels of the first layer's picture that show a weight. */
async function paintedPixels(page: Page): Promise<number> {
  return await page.evaluate(() => {
    const canvas = document.querySelector("canvas")!;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((_, i) => i % 4 === 3).reduce((count, alpha) => count + (alpha > 0 ? 1 : 0), 0);
  });
}

/** The same run in Node, from the files that the page loads. */
async function hashInNode(build: "simd" | "relaxed-simd"): Promise<string> {
  const path = join(folder, "dist/data/mlpnet-mnist.safetensors");
  const { tensors } = decodeSafetensors(readFileSync(path), path);
  const weights = tensors.map((tensor) => ({ name: tensor.name, shape: tensor.shape, data: toFloat32(tensor) }));
  const model = createNetwork(architecture("mlpnet"), { weights });
  const { train } = await openDataset("mnist");
  const kernels = await createWasmKernels({ build });
  const started = performance.now();
  await prune({ model, data: train, solver: chita(), curvature: gaussNewton(), sparsity: 0.95, kernels });
  process.stdout.write(`The same run in Node takes ${((performance.now() - started) / 1000).toFixed(1)} s.\n`);
  await kernels.close();
  const hash = createHash("sha256");
  for (const { name, prunable } of model.params()) {
    if (prunable) hash.update(new Uint8Array(Float32Array.from((await model.read(name)).data).buffer));
  }
  return hash.digest("hex");
}
