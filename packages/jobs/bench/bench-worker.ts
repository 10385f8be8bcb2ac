/** A worker process of benchmarks: `node bench-worker.ts URL STORE [VERSION]`. Prints "ready". VERSION is that of its package "bench", default 1, or "none". */
import process from "node:process";
import { openStore, parseQueueAddress, serveQueue } from "@secateur/jobs";

const [url = "", place = "", version] = process.argv.slice(2);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
await serveQueue({
  ...{ address: parseQueueAddress(url), store: await openStore(place), cwd: process.cwd(), threads: 1 },
  entry: new URL("./bench-thread.ts", import.meta.url),
  ...{ packages: version === "none" ? {} : { bench: version ?? "1" }, signal: stop.signal },
  onEvent: ({ type }) => type === "ready" && process.stdout.write("ready\n"),
});
