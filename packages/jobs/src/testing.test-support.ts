/** Stores, plans and servers for tests. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { Json } from "./job/canonical-json.ts";
import { type Job, makeJob } from "./job/job.ts";
import { openFolderStore } from "./store/folder-store.ts";
import type { Store } from "./store/store.ts";

/** The file that threads start. */
export const threadEntry: URL = new URL("./thread-entry.test-support.ts", import.meta.url);

/** A folder that is gone after the test. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "secateur-jobs-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A store of its own. */
export async function testStore(): Promise<Store> {
  return await openFolderStore(join(await testFolder(), "store"));
}

/** A job of the kinds of tests. */
export function testJob(kind: string, settings: Json, after: readonly Job[] = []): Job {
  const content = { kind, settings, inputs: {}, after: after.map(({ id }) => id), packages: { tests: "1" } };
  return makeJob(content, `${kind} ${JSON.stringify(settings)}`);
}

/** Whether a real server can be started here. */
export const hasRedis: boolean = isThere("redis-server");
if (!hasRedis) process.stderr.write("queue tests skipped: install redis-server\n");

/** Whether a program is installed. */
export function isThere(program: string, argument = "--version"): boolean {
  try {
    execFileSync(program, [argument], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A redis-server of the test's own, which can be killed and started again. */
export interface TestServer {
  readonly url: string;
  readonly port: number;
  stop(signal?: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
}

/** Starts one; it keeps nothing on disk unless `arguments` say so. */
export async function startRedis(...more: readonly string[]): Promise<TestServer> {
  const port = await freePort();
  const folder = await testFolder();
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const fixed = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--logfile", "log"];
    child = spawn("redis-server", [...fixed, ...more], { stdio: "ignore" });
    await answers(port);
  };
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child!.once("exit", resolve));
    child.kill(signal);
    await gone;
  };
  onTestFinished(() => stop("SIGKILL"));
  await start();
  return { url: `redis://127.0.0.1:${port}`, port, stop, start };
}

/** Where Debian, Homebrew and others put PostgreSQL's own programs; undefined where it is not installed. */
export const postgresFolder: string | undefined = [
  ...globSync("/usr/lib/postgresql/*/bin").sort().reverse(),
  ...["/opt/homebrew/bin", "/usr/local/pgsql/bin", "/usr/bin"],
].find((folder) => existsSync(join(folder, "initdb")));
if (!postgresFolder) process.stderr.write("PostgreSQL queue test skipped: install postgresql\n");

/** A PostgreSQL server of the test's own, with nothing in it. */
export async function startPostgres(): Promise<string> {
  const folder = await testFolder();
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? idsOf("postgres") : {};
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid!);
  const data = join(folder, "data");
  const quiet = { stdio: "ignore", ...user } as const;
  execFileSync(join(postgresFolder!, "initdb"), ["-D", data, "-A", "trust", "-U", "me", "--no-sync"], quiet);
  const port = await freePort();
  const settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", folder];
  const child = spawn(join(postgresFolder!, "postgres"), ["-D", data, "-p", String(port), ...settings], quiet);
  onTestFinished(async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGINT");
    await gone;
  });
  await answers(port);
  return `postgres://me@127.0.0.1:${port}/postgres`;
}

function idsOf(name: string): { uid?: number; gid?: number } {
  const [uid, gid] = ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, name], { encoding: "utf8" })));
  return { uid: uid!, gid: gid! };
}

/** A port that nobody listens to. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until somebody listens. */
async function answers(port: number): Promise<void> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (isOpen) return;
    await sleep(10);
  }
}
