/**
 * `npm run test:browser`: opens examples/packed in headless Chromium with a ResNet20, dense and 90 % pruned at random. Checked: both run
 * under a strict content security policy, classes are those that Node gives, the packed file is smaller, and errors say what is wrong:
 * an address that answers with a page, a damaged file.
 */
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { createRng } from "@secateur/core";
import { architecture, createNetwork } from "@secateur/nn";
import { findChromium, howToGetChromium } from "@secateur/run/node";
import { load } from "@secateur/runtime";
import { encodePacked, lowerNetwork, packGraph } from "@secateur/runtime/pack";
import { chromium, type Page } from "playwright-core";
import { servePacked } from "../../packed/serve.mjs";

const executablePath = findChromium();
if (executablePath === undefined) {
  process.stderr.write(`test:browser: ${howToGetChromium}\n`);
  process.exit(2);
}
const packed = await resnet(0.9);
const files = {
  "dense.secateur": await resnet(0),
  "packed.secateur": packed,
  "damaged.secateur": packed.slice(0, -9),
  // Bytes 8 and 9 are the version.
  "future.secateur": changed(packed, 8, 9),
  // Bytes 20 to 23 are how many bytes of values it unpacks to.
  "lying.secateur": changed(packed, 23, 127),
};
const server = servePacked(files).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const { port } = server.address() as AddressInfo;
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, headless: true, args });
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.locator("#status", { hasText: /^(Done|That failed)/ }).waitFor({ timeout: 60_000 });
  const status = await page.locator("#status").textContent();
  assert.match(status ?? "", /^Done: (relaxed-)?simd, 1 thread/);
  const rows = await page
    .locator("#rows tr")
    .evaluateAll((all) =>
      all.map((row) => [...(row as HTMLTableRowElement).cells].map((cell) => cell.textContent ?? "")),
    );
  for (const row of rows) process.stdout.write(`${row.join("  ")}\n`);
  for (const [name = "", bytes = "", , , found] of rows) {
    const content = files[name as keyof typeof files];
    assert.equal(Number(bytes.replaceAll(",", "")), content.length);
    assert.equal(Number(found), await classInNode(content));
  }
  const [dense, small] = await page
    .locator("#rows tr")
    .evaluateAll((all) => all.map((row) => Number((row as HTMLElement).dataset["ms"])));
  process.stdout.write(`Packed, it runs ${(dense! / small!).toFixed(1)} times faster than dense, ${status}\n`);
  assert.equal(await failure(page, "nowhere.secateur"), "ERR_PACKED_FETCH");
  assert.equal(await failure(page, "index.html"), "ERR_PACKED_FETCH");
  assert.equal(await failure(page, "damaged.secateur"), "ERR_PACKED_DAMAGED");
  assert.equal(await failure(page, "future.secateur"), "ERR_PACKED_VERSION");
  assert.equal(await failure(page, "lying.secateur"), "ERR_PACKED_DAMAGED");
  assert.equal(await failure(page, "page.mjs"), "ERR_PACKED_MAGIC");
  assert.equal(await failure(page, "packed.secateur", {}), "ERR_RUNTIME_ARGUMENT");
  assert.equal(await failure(page, "packed.secateur", { input: { data: [1], dims: [1] } }), "ERR_RUNTIME_ARGUMENT");
  // The page is not cross-origin isolated: one thread runs, and the session says so.
  assert.deepEqual(await notes(page), ["NOTE_ONE_THREAD"]);
  process.stdout.write("The packed network runs in the page.\n");
} finally {
  await browser.close();
  server.close();
}

/** A ResNet20 of random weights, a share of them zero. */
async function resnet(sparsity: number): Promise<Uint8Array> {
  const rng = createRng("page");
  const spec = architecture("resnet20");
  const tensors = createNetwork(spec, { seed: 3 })
    .tensors()
    .map(({ name, shape, data }) => {
      const isPruned = shape.length === 4 && name !== "conv1.weight";
      return [
        name,
        { dims: shape, data: Float32Array.from(data, (value) => (isPruned && rng.next() < sparsity ? 0 : value)) },
      ] as const;
    });
  const graph = lowerNetwork(spec, new Map(tensors));
  return sparsity === 0
    ? await encodePacked(graph, { values: "f32" })
    : (await packGraph(graph, { values: "int8" })).bytes;
}

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  return Uint8Array.from(bytes, (byte, i) => (i === at ? value : byte));
}

async function classInNode(bytes: Uint8Array): Promise<number> {
  const session = await load(bytes);
  const data = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i));
  const logits = (await session.run({ input: { data, dims: [1, 3, 32, 32] } }))["logits"]!.data;
  return logits.indexOf(Math.max(...logits));
}

/** The code of what loading an address in the page throws, or one run on `inputs`. */
async function failure(page: Page, address: string, inputs?: object): Promise<string> {
  return await page.evaluate(
    async ([place, given]) => {
      const { load } = await import(new URL("runtime/index.js", location.href).href);
      return await load(place)
        .then((session: { run(inputs: object): Promise<unknown> }) => given && session.run(given))
        .then(
          () => "none",
          (error: { code: string }) => error.code,
        );
    },
    [address, inputs] as const,
  );
}

async function notes(page: Page): Promise<readonly string[]> {
  return await page.evaluate(async () => {
    const { load } = await import(new URL("runtime/index.js", location.href).href);
    const session = await load("packed.secateur", { threads: 2 });
    return session.notes.map(({ code }: { code: string }) => code);
  });
}
