/**
 * The page that `bench --browser` opens: a program of the browser as text, so that it needs no build. It loads every file it is told of, runs
 * them in turn, and posts the times.
 */

/** What the page is told, as /job.json. */
export interface PageJob {
  /** Packed networks by the name of their engine; the file is at /files/INDEX. */
  readonly networks: readonly string[];
  /** The ONNX model for onnxruntime-web, at /files/INDEX, and the folder of the package; absent where it is not installed. */
  readonly onnx?: { readonly index: number; readonly script: string } | undefined;
  /** Scripts of TensorFlow.js and its backend; its model is at /tfjs-model. Absent where they are not installed. */
  readonly tfjs?: { readonly scripts: readonly string[] } | undefined;
  readonly inputs: readonly {
    readonly name: string;
    readonly dims: readonly number[];
    readonly type: "f32" | "i64" | "i32";
  }[];
  readonly threads: number;
  readonly leastRounds: number;
  readonly leastMs: number;
}

/** What the page posts. */
export interface PageResult {
  readonly browser: string;
  readonly engines: readonly {
    readonly engine: string;
    readonly threads: number;
    readonly loadMs: number;
    readonly times: readonly number[];
    readonly notes: readonly string[];
  }[];
  readonly error?: string;
}

export const benchPage = `<!doctype html><meta charset="utf-8"><title>secateur bench</title><script type="module" src="/bench.js"></script>`;

export const benchScript = `
const post = (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) });
// As in Node: the first run of a small network pays for what the engine before left in the caches, and does not count.
const takeTurn = async (run, times) => {
  const began = performance.now();
  await run();
  let before = performance.now();
  if (before - began > 2) return times.push(before - began);
  do {
    await run();
    const after = performance.now();
    times.push(after - before);
    before = after;
  } while (before - began < 2);
};
const browser = navigator.userAgentData?.brands.find(({ brand }) => brand === "Chromium");
try {
  const job = await (await fetch("/job.json")).json();
  const { load } = await import("/runtime/index.js");
  const numbers = (dims) => Float32Array.from({ length: dims.reduce((all, extent) => all * extent, 1) }, (_, i) => Math.sin(i));
  const given = Object.fromEntries(job.inputs.map(({ name, dims, type }) => {
    const size = dims.reduce((all, extent) => all * extent, 1);
    return [name, { dims, data: type === "f32" ? numbers(dims) : new Int32Array(size) }];
  }));
  const engines = [];
  for (const [i, engine] of job.networks.entries()) {
    const bytes = new Uint8Array(await (await fetch("/files/" + i)).arrayBuffer());
    const before = performance.now();
    const session = await load(bytes, { threads: job.threads });
    const loadMs = performance.now() - before;
    engines.push({ engine, threads: session.threads, loadMs, notes: session.notes.map(({ message }) => message), run: () => session.run(given) });
  }
  if (job.onnx) {
    const ort = await import(job.onnx.script);
    ort.env.wasm.numThreads = job.threads;
    ort.env.wasm.wasmPaths = job.onnx.script.slice(0, job.onnx.script.lastIndexOf("/") + 1);
    const bytes = new Uint8Array(await (await fetch("/files/" + job.onnx.index)).arrayBuffer());
    const before = performance.now();
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    const loadMs = performance.now() - before;
    const feeds = Object.fromEntries(job.inputs.map(({ name, dims, type }) => {
      const { data } = given[name];
      if (type === "i64") return [name, new ort.Tensor("int64", BigInt64Array.from(data, BigInt), dims)];
      return [name, new ort.Tensor(type === "i32" ? "int32" : "float32", data, dims)];
    }));
    engines.push({ engine: "onnxruntime-web", threads: job.threads, loadMs, notes: [], run: () => session.run(feeds) });
  }
  if (job.tfjs) {
    for (const src of job.tfjs.scripts) await new Promise((resolve, reject) => {
      document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: reject }));
    });
    tf.enableProdMode();
    tf.wasm.setWasmPaths(job.tfjs.scripts[1].slice(0, job.tfjs.scripts[1].lastIndexOf("/") + 1));
    tf.wasm.setThreadsCount(job.threads);
    await tf.setBackend("wasm");
    const before = performance.now();
    const model = await tf.loadLayersModel("/tfjs-model/model.json");
    const loadMs = performance.now() - before;
    const inputs = model.inputs.map(({ shape }) => {
      const dims = shape.map((extent) => extent ?? 1);
      return tf.tensor(numbers(dims), dims);
    });
    const run = async () => {
      const outputs = [model.predict(inputs)].flat();
      for (const output of outputs) await output.data();
      tf.dispose(outputs);
    };
    engines.push({ engine: "tfjs-wasm", threads: job.threads, loadMs, notes: [], run });
  }
  const times = engines.map(() => []);
  for (const { run } of engines) for (let i = 0; i < 3; i++) await run();
  const began = performance.now();
  for (let round = 0; round < job.leastRounds || performance.now() - began < job.leastMs; round++) {
    for (const [e, { run }] of engines.entries()) await takeTurn(run, times[e]);
  }
  await post({
    browser: "Chromium " + (browser?.version ?? "?"),
    engines: engines.map(({ engine, threads, loadMs, notes }, e) => ({ engine, threads, loadMs, notes, times: times[e] })),
  });
} catch (error) {
  await post({ browser: "Chromium " + (browser?.version ?? "?"), engines: [], error: String(error?.stack ?? error) });
}
`;
