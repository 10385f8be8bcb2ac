/** A redis-server, workers and a store of their own, for benchmarks. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Job, makeJob, openStore, type Store } from "@secateur/jobs";

/** A server that can be stopped and started. */
export interface BenchServer {
  readonly url: string;
  start(): Promise<void>;
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Bytes that came in and went out since it was started. */
  traffic(): Promise<number>;
}

/** @param more - arguments of redis-server */
export async function benchServer(...more: readonly string[]): Promise<BenchServer> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "secateur-redis-"));
  let child: ChildProcess | undefined;
  const server: BenchServer = {
    url: `redis://127.0.0.1:${port}`,
    async start() {
      child = spawn(
        "redis-server",
        ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...more],
        {
          stdio: "ignore",
        },
      );
      while (!(await ask(port, "PING").catch(() => ""))) await sleep(20);
    },
    async stop(signal) {
      const gone = new Promise((resolve) => child!.once("exit", resolve));
      child!.kill(signal);
      await gone;
    },
    async traffic() {
      const info = await ask(port, "INFO stats");
      const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
      return field("total_net_input_bytes") + field("total_net_output_bytes");
    },
  };
  await server.start();
  return server;
}

/** A worker process, ready to work; begun again until it is, since it ends where its server is away. @param version - of the package "bench", or "none" */
export async function benchWorker(url: string, store: Store, version = "1"): Promise<ChildProcess> {
  const file = fileURLToPath(new URL("./bench-worker.ts", import.meta.url));
  const argv = [file, url, store.place, version];
  for (;;) {
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "ignore"] });
    const isReady = await new Promise<boolean>((resolve) => {
      child.stdout.on("data", () => resolve(true));
      child.once("exit", () => resolve(false));
    });
    if (isReady) return child;
    await sleep(500);
  }
}

/** A store in a new folder, or in a folder that is there. */
export async function benchStore(folder?: string): Promise<Store> {
  return await openStore(join(folder ?? (await mkdtemp(join(tmpdir(), "secateur-jobs-"))), "store"));
}

/** Jobs of so many milliseconds each. */
export function busyJobs(count: number, ms: number): readonly Job[] {
  return Array.from({ length: count }, (_, value) =>
    makeJob(
      { kind: "busy", settings: { ms, value }, inputs: {}, after: [], packages: { bench: "1" } },
      `busy ${value}`,
    ),
  );
}

async function ask(port: number, command: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${command}\r\n`));
    let text = "";
    socket.on("data", (piece) => {
      text += String(piece);
      // An INFO is one bulk string; it ends with an empty line at most a moment later.
      setTimeout(() => socket.end(), 20);
    });
    socket
      .once("end", () => resolve(text))
      .once("close", () => resolve(text))
      .once("error", reject);
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
