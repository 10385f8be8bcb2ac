/** Processes of the benchmarks of spread work: a redis-server, `secateur worker`s and a command, each with its peak memory and an end by which it is over. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import process from "node:process";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** The command line, as it was built. */
export const main: string = fileURLToPath(new URL("../dist/main.js", import.meta.url));

const preload = new URL("./peak-at-exit.mjs", import.meta.url).href;
const children = new Set<ChildProcess>();
// Whatever ends this process ends them.
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

/** What a process of Node took. */
export interface Taken {
  readonly seconds: number;
  readonly stdout: string;
  /** Most bytes that it had resident; 0 of one that was killed. */
  readonly peak: number;
}

/** Runs a program of Node to its end. @throws Error where it fails, or takes longer than `limit` seconds */
export async function runNode(argv: readonly string[], { limit }: { limit: number }): Promise<Taken> {
  const started = performance.now();
  const { child, peak, exit } = startNode(argv, "inherit");
  let isLate = false;
  const late = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, 1000 * limit);
  const stdout = await text(child.stdout!);
  const code = await exit;
  clearTimeout(late);
  if (isLate) throw new Error(`did not end in ${limit} s`);
  // What was wrong stands on standard error.
  if (code !== 0) throw new Error(`exit code ${code}`);
  return { seconds: (performance.now() - started) / 1000, stdout, peak: await peak };
}

/** Workers that are ready to work; `end` sends them home and says what each had resident at most. */
export async function startWorkers(
  count: number,
  argv: readonly string[],
): Promise<{ end(): Promise<readonly number[]> }> {
  const all = Array.from({ length: count }, () => startNode([main, "worker", ...argv], "pipe"));
  await Promise.all(
    all.map(
      ({ child }) =>
        new Promise<void>((resolve, reject) => {
          let said = "";
          child.stderr!.on("data", (piece) => {
            said += String(piece);
            if (said.includes("ready")) resolve();
          });
          child.once("exit", () => reject(new Error(`a worker ended: ${said}`)));
        }),
    ),
  );
  return {
    async end() {
      for (const { child } of all) child.kill("SIGTERM");
      const late = setTimeout(() => {
        for (const { child } of all) child.kill("SIGKILL");
      }, 10_000);
      const peaks = await Promise.all(all.map(({ peak }) => peak));
      clearTimeout(late);
      return peaks;
    },
  };
}

function startNode(
  argv: readonly string[],
  stderr: "inherit" | "pipe",
): { child: ChildProcess; peak: Promise<number>; exit: Promise<number | null> } {
  const child = spawn(process.execPath, ["--import", preload, ...argv], { stdio: ["ignore", "pipe", stderr, "pipe"] });
  children.add(child);
  const exit = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => {
      children.delete(child);
      resolve(code);
    });
  });
  return { child, peak: text(child.stdio[3] as Readable).then(Number), exit };
}

/** A redis-server. */
export interface SpreadServer {
  readonly url: string;
  /** Bytes that came in and went out since it was started, and the most that it held in memory. */
  taken(): Promise<{ traffic: number; peak: number }>;
  stop(): void;
}

/** Starts the redis-server that the system finds by its name. @throws Error where it is not ready within 10 s */
export async function startServer(): Promise<SpreadServer> {
  const port = await freePort();
  const child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", ""], { stdio: "ignore" });
  children.add(child);
  child.on("error", () => {}); // Said below.
  const end = performance.now() + 10_000;
  while (!(await ask(port, "PING").catch(() => "")).includes("PONG")) {
    if (performance.now() > end) throw new Error("redis-server does not answer; is it installed?");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    async taken() {
      const info = await ask(port, "INFO");
      const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
      return {
        traffic: field("total_net_input_bytes") + field("total_net_output_bytes"),
        peak: Math.max(field("used_memory_peak"), field("used_memory_rss")),
      };
    },
    stop() {
      child.kill("SIGKILL");
      children.delete(child);
    },
  };
}

/** Asks in the plain form of Redis's protocol, and takes the answer once nothing more comes. */
async function ask(port: number, command: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${command}\r\n`));
    let said = "";
    let quiet: NodeJS.Timeout | undefined;
    socket.on("data", (piece) => {
      said += String(piece);
      clearTimeout(quiet);
      quiet = setTimeout(() => socket.end(), 50);
    });
    socket.once("close", () => resolve(said)).once("error", reject);
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
