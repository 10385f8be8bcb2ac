/** `secateur bench --browser`: the same rounds in headless Chromium, in a page of a server on this machine alone. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { ModelFiles } from "@secateur/backends-tfjs";
import { badUsage, browserFailed } from "../../../errors.ts";
import type { StockForms } from "../stock-forms.ts";
import { benchPage, benchScript, type PageJob, type PageResult } from "./bench-page.ts";
import { findChromium, howToGetChromium } from "./find-chromium.ts";

/** Longer than this a page that loads and runs networks does not take. */
const timeLimitMs = 300_000;
/** What a page may post. */
const mostPosted = 2 ** 24;

/**
 * Runs packed networks, and the same model in onnxruntime-web and TensorFlow.js's WebAssembly backend where those are installed.
 *
 * @param spec.networks - bytes by the name of their engine
 * @param spec.cwd - where other runtimes are looked for
 * @throws ERR_USAGE where there is no Chromium; ERR_BROWSER where it ends or fails
 */
export async function benchInBrowser(
  spec: Pick<PageJob, "inputs" | "threads" | "leastRounds" | "leastMs"> & {
    readonly networks: ReadonlyMap<string, Uint8Array>;
    readonly stock: StockForms;
    readonly cwd: string;
    readonly signal: AbortSignal;
  },
): Promise<PageResult> {
  const { networks, stock, cwd, signal, ...rounds } = spec;
  const executable = findChromium();
  if (executable === undefined) throw badUsage(`--browser: ${howToGetChromium}`);
  const web = stock.onnx && packageFolder("onnxruntime-web", cwd);
  const tfjs = stock.tfjs && packageFolder("@tensorflow/tfjs", cwd);
  const wasm = tfjs && packageFolder("@tensorflow/tfjs-backend-wasm", cwd);
  const job: PageJob = {
    ...rounds,
    networks: [...networks.keys()],
    ...(web ? { onnx: { index: networks.size, script: "/onnxruntime/ort.wasm.min.mjs" } } : {}),
    ...(wasm ? { tfjs: { scripts: ["/tfjs/tf.min.js", "/tfjs-wasm/tf-backend-wasm.min.js"] } } : {}),
  };
  const folders = new Map([
    ["runtime", dirname(fileURLToPath(import.meta.resolve("@secateur/runtime")))],
    ...(web ? [["onnxruntime", web] as const] : []),
    ...(wasm
      ? ([
          ["tfjs", tfjs],
          ["tfjs-wasm", wasm],
        ] as const)
      : []),
  ]);
  const files = new Map(
    [...networks.values(), ...(web ? [stock.onnx!()] : [])].map((bytes, i) => [`files/${i}`, bytes]),
  );
  if (wasm) for (const [name, bytes] of servedModel(await stock.tfjs!())) files.set(`tfjs-model/${name}`, bytes);
  const profile = await mkdtemp(join(tmpdir(), "secateur-bench-"));
  let done: (result: PageResult) => void = () => {};
  const posted = new Promise<PageResult>((resolve) => {
    done = resolve;
  });
  const server = createServer((request, response) => {
    answer({ request, response, job, files, folders, done }).catch(() => response.writeHead(500).end());
  });
  const isOver = new AbortController();
  let browsing: Promise<never> | undefined;
  try {
    const port = await listening(server);
    browsing = browse({ executable, profile, port, signal: AbortSignal.any([signal, isOver.signal]) });
    const result = await Promise.race([posted, browsing]);
    if (result.error !== undefined) throw browserFailed(result.error);
    return result;
  } finally {
    // The browser would outlive this process.
    isOver.abort();
    await browsing?.catch(() => undefined);
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The folder with a package's own files for browsers, where it is installed. */
function packageFolder(name: string, cwd: string): string | undefined {
  try {
    return dirname(createRequire(join(cwd, "_")).resolve(name));
  } catch {
    return undefined;
  }
}

/** A TensorFlow.js model as the files that its model.json names. */
function servedModel({ jsonBytes, shards, data }: ModelFiles): readonly (readonly [string, Uint8Array])[] {
  let at = 0;
  const parts = shards.map(({ path, bytes }) => {
    at += bytes;
    return [path, data.subarray(at - bytes, at)] as const;
  });
  return [["model.json", jsonBytes], ...parts];
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

/** Starts the browser on the page; ends it when `signal` is. Never resolves; rejects when the browser has ended. */
function browse(spec: { executable: string; profile: string; port: number; signal: AbortSignal }): Promise<never> {
  const { executable, profile, port, signal } = spec;
  // Chromium refuses to be root's with its sandbox; the page is our own.
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const flags = ["--headless=new", "--disable-gpu", "--no-first-run", `--user-data-dir=${profile}`, ...sandbox];
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeLimitMs)]);
  const child = spawn(executable, [...flags, `http://127.0.0.1:${port}/`], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    said = `${said}${text.toString()}`.slice(-2000);
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()).once("error", () => resolve()));
  return new Promise<never>((_resolve, reject) => {
    limit.addEventListener("abort", () => reject(limit.reason), { once: true });
    child.once("error", (cause) => reject(browserFailed(cause.message)));
    child.once("exit", (code) => reject(browserFailed(`it ended with ${code ?? "a signal"}: ${said.trim()}`)));
  }).finally(() => {
    child.kill();
    return exited;
  });
}

const types: Readonly<Record<string, string>> = {
  js: "text/javascript",
  mjs: "text/javascript",
  wasm: "application/wasm",
};

async function answer(spec: {
  request: IncomingMessage;
  response: ServerResponse;
  job: PageJob;
  files: ReadonlyMap<string, Uint8Array>;
  folders: ReadonlyMap<string, string>;
  done: (result: PageResult) => void;
}): Promise<void> {
  const { request, response, job, files, folders, done } = spec;
  const { pathname } = new URL(request.url ?? "/", "http://127.0.0.1");
  const send = (type: string, body: string | Uint8Array): void => {
    // Threads need a page that is isolated from others.
    response.writeHead(200, {
      "content-type": type,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(body);
  };
  if (request.method === "POST" && pathname === "/result") {
    done(JSON.parse(await bodyOf(request)) as PageResult);
    send("text/plain", "");
    return;
  }
  if (pathname === "/") return send("text/html", benchPage);
  if (pathname === "/bench.js") return send("text/javascript", benchScript);
  if (pathname === "/job.json") return send("application/json", JSON.stringify(job));
  const file = files.get(pathname.slice(1));
  if (file) return send("application/octet-stream", file);
  const [, kind = "", ...rest] = pathname.split("/");
  const folder = folders.get(kind);
  const path = folder && join(folder, ...rest);
  if (path && !relative(folder, path).startsWith(`..${sep}`))
    return send(types[path.split(".").at(-1)!] ?? "application/octet-stream", await readFile(path));
  response.writeHead(404).end();
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > mostPosted) throw new RangeError("too much was posted");
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
