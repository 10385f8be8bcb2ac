import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findChromium, howToGetChromium } from "@secateur/run/node";
import * as tf from "@tensorflow/tfjs";
import { build } from "vite";
import { describe, expect, test } from "vitest";
import { sourceAliases } from "../entry-points.ts";
import type { PageResult } from "./page.ts";

const packages = fileURLToPath(new URL("../../packages", import.meta.url));
const page = fileURLToPath(new URL("page.ts", import.meta.url));
const chromium = findChromium();
const isWanted = process.env["SECATEUR_BROWSER_TEST"] === "1";

const reason = !isWanted ? "npm run test:browser starts it" : chromium === undefined ? howToGetChromium : undefined;

describe(`in a real browser${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test.skipIf(reason !== undefined)("a TensorFlow.js model is loaded, pruned and saved", async () => {
    const result = await inBrowser(chromium!);
    expect(result).toMatchObject({ engine: "wasm", prunable: 4 * 9 + 2 * 144, nonzeros: 162 });
    expect(result.dense).toBeGreaterThan(90);
    expect(result.chita).toBeGreaterThan(80);
    expect(result.saved).toBe(result.magnitude);
    expect(result.tensorsAfter).toBe(result.tensorsBefore);
  });
});

/** Serves the page, opens it and waits for what it reports. */
async function inBrowser(browser: string): Promise<PageResult> {
  const profile = await mkdtemp(join(tmpdir(), "secateur-chromium-"));
  const { server, reported } = await serve(await bundle());
  const { port } = server.address() as AddressInfo;
  // Without a sandbox, which containers do not allow; the page is ours.
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
  const child = spawn(browser, [...flags, `--user-data-dir=${profile}`, `http://127.0.0.1:${port}/`], {
    stdio: "ignore",
  });
  const died = new Promise<never>((_resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${browser} ended with ${code} before the page had run`)));
  });
  try {
    const report = await Promise.race([reported, died]);
    if ("error" in report) throw new Error(`in the page: ${report.error}`);
    return report.result;
  } finally {
    died.catch(() => {});
    child.kill("SIGKILL");
    server.close();
    server.closeAllConnections();
    await new Promise((resolve) =>
      child.exitCode === null && child.signalCode === null ? child.once("exit", resolve) : resolve(undefined),
    );
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

type Report = { readonly result: PageResult } | { readonly error: string };

async function serve(script: string): Promise<{ server: Server; reported: Promise<Report> }> {
  const files = await modelFiles();
  const require = createRequire(`${packages}/backends-tfjs/package.json`);
  const wasm = dirname(require.resolve("@tensorflow/tfjs-backend-wasm"));
  const html =
    '<!doctype html><meta charset="utf-8"><title>secateur</title><script type="module" src="/page.js"></script>';
  let report: (report: Report) => void = () => {};
  const reported = new Promise<Report>((resolve) => {
    report = resolve;
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = request.url ?? "/";
    const send = (type: string, body: string | Uint8Array): void => {
      response.writeHead(200, { "content-type": type });
      response.end(body);
    };
    if (url === "/") return send("text/html", html);
    if (url === "/page.js") return send("text/javascript", script);
    if (url === "/result") {
      let body = "";
      for await (const part of request) body += String(part);
      report(JSON.parse(body) as Report);
      return send("text/plain", "");
    }
    if (url.startsWith("/model/")) return send("application/octet-stream", files.get(url.slice("/model/".length))!);
    if (/^\/wasm\/[\w.-]+\.wasm$/.test(url)) {
      return send("application/wasm", await readFile(join(wasm, url.slice("/wasm/".length))));
    }
    response.writeHead(404);
    response.end();
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => report({ error: String(error) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, reported };
}

/** A model as a server holds it; its weights do not matter. */
async function modelFiles(): Promise<ReadonlyMap<string, Uint8Array>> {
  tf.enableProdMode();
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 4, kernelSize: 3, activation: "relu" }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 2, activation: "softmax" }),
    ],
  });
  const files = new Map<string, Uint8Array>();
  await model.save({
    save: async ({ weightSpecs, weightData, ...artifacts }) => {
      const weightsManifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      files.set("model.json", new TextEncoder().encode(JSON.stringify({ ...artifacts, weightsManifest })));
      files.set("weights.bin", new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    },
  });
  return files;
}

/** The page's script with everything it needs. */
async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    resolve: { alias: sourceAliases() },
    build: { write: false, minify: false, target: "es2022", lib: { entry: page, formats: ["es"] } },
  });
  const [output] = Array.isArray(result) ? result : [];
  const [chunk] = output?.output ?? [];
  if (chunk?.type !== "chunk") throw new Error("vite made no script of the page");
  return chunk.code;
}
