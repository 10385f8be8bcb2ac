import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { createRunContext, referenceKernels } from "@secateur/core";
import { architecture, createNetwork, type Network } from "@secateur/nn";
import { load } from "@secateur/runtime";
import { fetchUnpacked } from "@secateur/runtime/unpack";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Session } from "../../session.ts";
import { encodeNetwork } from "../open/encode-network.ts";
import { runPack } from "../pack/run-pack.ts";
import { convertText, runConvert } from "./run-convert.ts";

/** MLPNet with three of four weights at zero, as a file. */
let network: Network;
let folder: string;
let checkpoint: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "secateur-stock-"));
  checkpoint = join(folder, "net.safetensors");
  network = createNetwork(architecture("mlpnet"), { seed: 1 });
  for (const { data } of network.weights.values()) for (let i = 0; i < data.length; i++) if (i % 4 > 0) data[i] = 0;
  await writeFile(checkpoint, await encodeNetwork({ network, path: checkpoint, metadata: {}, from: folder }));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

const run = { arch: "mlpnet", opset: undefined, overwrite: false, onEvent: () => undefined };

test("stock TensorFlow.js loads weights of one byte, from files that only lie there compressed", async () => {
  const out = join(folder, "small", "model.json");
  const document = await runConvert({ ...run, path: checkpoint, out, values: "uint8", compress: true, cwd: folder });
  expect(document.copies!.map(({ file }) => file.slice(folder.length + 1))).toEqual([
    "small/group1-shard1of1.bin.gz",
    "small/group1-shard1of1.bin.br",
    "small/model.json.gz",
    "small/model.json.br",
  ]);
  expect(convertText(document)).toContain("group1-shard1of1.bin.br, ");
  const weights = await readFile(join(folder, "small", "group1-shard1of1.bin"));
  expect(weights.length).toBe(network.tensors().reduce((sum, { data }) => sum + data.length, 0));
  expect(gunzipSync(await readFile(join(folder, "small", "group1-shard1of1.bin.gz"))).equals(weights)).toBe(true);
  expect(brotliDecompressSync(await readFile(join(folder, "small", "group1-shard1of1.bin.br"))).equals(weights)).toBe(
    true,
  );
  await rm(join(folder, "small", "group1-shard1of1.bin"));
  const asked: string[] = [];
  const { server, address } = await serving(async (path) => {
    asked.push(path);
    return await readFile(join(folder, path)).catch(() => undefined);
  });
  const model = await tf.loadLayersModel(`${address}/small/model.json`, { fetchFunc: fetchUnpacked });
  server.close();
  expect(asked).toContain("/small/group1-shard1of1.bin.gz");
  const stored = model.getWeights().map((weight) => weight.dataSync() as Float32Array);
  const own = network.tensors();
  // Dense kernels are [in, out] there.
  own.forEach(({ shape, data }, t) => {
    const [outputs, inputs] = shape as [number, number];
    const step = (Math.max(...data) - Math.min(...data)) / 255;
    let [worst, lost] = [0, 0];
    data.forEach((value, i) => {
      const found = stored[t]![(i % inputs) * outputs + Math.floor(i / inputs)]!;
      worst = Math.max(worst, Math.abs(found - value));
      if (value === 0 && found !== 0) lost++;
    });
    // Half a step to the nearest, and as much again where the grid was moved to put zero on it.
    expect([worst < 1.01 * step, lost]).toEqual([true, 0]);
  });
  const inputs = tf.randomNormal([4, 28, 28], 0, 1, "float32", 3);
  const scores = model.predict(inputs) as tf.Tensor;
  expect((await scores.data()).every(Number.isFinite)).toBe(true);
  model.dispose();
});

test("a TensorFlow.js model's own files become smaller ones; other outputs have no such values", async () => {
  const first = join(folder, "first", "model.json");
  await runConvert({ ...run, path: checkpoint, out: first, cwd: folder });
  const second = join(folder, "second", "model.json");
  const settings = { ...run, arch: undefined, path: first, values: "uint8", cwd: folder } as const;
  expect((await runConvert({ ...settings, out: second })).arch).toBe("tfjs-layers");
  const [large, small] = await Promise.all(
    ["first", "second"].map(async (name) => (await readFile(join(folder, name, "group1-shard1of1.bin"))).length),
  );
  expect(large! / small!).toBe(4);
  await expect(runConvert({ ...settings, out: join(folder, "net.onnx") })).rejects.toMatchObject({ code: "ERR_USAGE" });
});

test("a weight that is not finite is named, and nothing is written", async () => {
  const broken = join(folder, "broken.safetensors");
  const other = createNetwork(architecture("mlpnet"), { seed: 1 });
  other.weights.get("fc2.weight")!.data[5] = Number.NaN;
  await writeFile(broken, await encodeNetwork({ network: other, path: broken, metadata: {}, from: folder }));
  const out = join(folder, "broken", "model.json");
  await expect(runConvert({ ...run, path: broken, out, values: "uint8", cwd: folder })).rejects.toMatchObject({
    code: "ERR_NOT_FINITE",
    message: expect.stringContaining("fc2"),
  });
  await expect(readFile(out)).rejects.toThrow("ENOENT");
});

test("copies of an output that is written over do not stay, and others are not written over unasked", async () => {
  const out = join(folder, "over.onnx");
  await runConvert({ ...run, path: checkpoint, out, compress: true, cwd: folder });
  await runConvert({ ...run, path: checkpoint, out, overwrite: true, cwd: folder });
  for (const ending of [".gz", ".br"]) await expect(readFile(out + ending)).rejects.toThrow("ENOENT");
  const alone = join(folder, "alone.onnx");
  await writeFile(`${alone}.gz`, "mine");
  for (const compress of [false, true]) {
    const tried = runConvert({ ...run, path: checkpoint, out: alone, compress, cwd: folder });
    await expect(tried).rejects.toMatchObject({ code: "ERR_OUTPUT_EXISTS" });
  }
  expect(await readFile(`${alone}.gz`, "utf8")).toBe("mine");
});

test("a packed network's brotli copy is the same network, and smaller than with gzip inside", async () => {
  const out = join(folder, "net.secateur");
  const context = createRunContext();
  const session = {
    ...{ kernels: referenceKernels, kernelChoice: "reference" as const, seed: 0, signal: new AbortController().signal },
    ...{ onEvent: () => undefined, context: () => context },
  } satisfies Session;
  const { copies, bytes } = await runPack(
    { model: checkpoint, arch: "mlpnet", out, compress: true, overwrite: false, cwd: folder },
    session,
  );
  expect(copies).toEqual([{ file: `${out}.br`, bytes: bytes.brotli }]);
  expect(bytes.brotli).toBeLessThan(bytes.gzip);
  const outputs = await Promise.all(
    [await readFile(out), brotliDecompressSync(await readFile(`${out}.br`))].map(async (content) => {
      const packed = await load(content);
      const [name] = packed.inputNames as [string];
      const found = await packed.run({ [name]: { data: new Float32Array(784).fill(0.5), dims: [1, 28, 28] } });
      await packed.close();
      return found;
    }),
  );
  expect(outputs[0]).toEqual(outputs[1]);
});

test("the loader unpacks what is compressed, takes what is not, and says what is damaged", async () => {
  const content = Buffer.from("weights ".repeat(50));
  const page = (type: string) => ({ body: Buffer.from("<!doctype html>"), headers: { "content-type": type } });
  const asked: string[] = [];
  const { server, address } = await serving(async (path, key) => {
    asked.push(`${path} ${key}`);
    if (path === "/packed.bin.gz?v=1" || path === "/keyed.bin.gz") return gzipSync(content);
    if (path === "/cut.bin.gz") return gzipSync(content).subarray(0, 30);
    if (path === "/page.bin.gz") return page("Text/HTML");
    if (path === "/text.bin.gz") return page("text/plain");
    if (path === "/encoded.bin.gz") return { body: gzipSync(content), headers: { "content-encoding": "gzip" } };
    if (path === "/reset.bin.gz") return "reset";
    return path.endsWith(".gz") || path === "/nowhere.bin" ? undefined : content;
  });
  const read = async (response: Response) => Buffer.from(await response.arrayBuffer()).equals(content);
  for (const name of ["packed.bin?v=1", "plain.bin", "page.bin", "text.bin", "encoded.bin", "reset.bin"])
    expect(await read(await fetchUnpacked(`${address}/${name}`)), name).toBe(true);
  await expect(fetchUnpacked(`${address}/cut.bin`)).rejects.toMatchObject({ code: "ERR_PACKED_FETCH" });
  expect((await fetchUnpacked(new URL(`${address}/nowhere.bin`))).status).toBe(404);
  const keyed = new Request(`${address}/keyed.bin`, { headers: { "x-key": "7" } });
  expect(await read(await fetchUnpacked(keyed))).toBe(true);
  expect(asked.at(-1)).toBe("/keyed.bin.gz 7");
  const before = asked.length;
  expect(await read(await fetchUnpacked(`data:;base64,${content.toString("base64")}`))).toBe(true);
  const stopped = fetchUnpacked(`${address}/plain.bin`, { signal: AbortSignal.abort() });
  await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
  expect(asked.length).toBe(before);
  server.close();
});

interface Answer {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

async function serving(
  answer: (path: string, key: string | undefined) => Promise<Buffer | Answer | "reset" | undefined>,
): Promise<{ server: Server; address: string }> {
  const server = createServer(async (request, response) => {
    const found = await answer(request.url!, request.headers["x-key"]?.toString());
    if (found === "reset") request.socket.destroy();
    else if (!found) response.writeHead(404).end();
    else if ("body" in found) response.writeHead(200, found.headers).end(found.body);
    else response.end(found);
  });
  server.keepAliveTimeout = 1;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
