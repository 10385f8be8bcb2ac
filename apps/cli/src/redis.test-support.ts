/** A real redis-server for tests of queues. */
import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:net";
import process from "node:process";
import { onTestFinished } from "vitest";

/** Whether one can be started here. */
export const hasRedis: boolean = (() => {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    process.stderr.write("queue tests skipped: install redis-server\n");
    return false;
  }
})();

/** A server of the test's own. */
export async function startRedis(): Promise<string> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", ""], { stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise<void>((resolve) =>
    child.stdout.on("data", (text) => String(text).includes("Ready to accept") && resolve()),
  );
  return `redis://127.0.0.1:${port}`;
}
