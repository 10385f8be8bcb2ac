import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Failure, nodeProblem, read, run } from "./process.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const script = (code: string): string[] => ["-e", code];

describe("the Node that starts a task", () => {
  test("may be as old as 20.19 where the workspace brings its own", () => {
    expect(nodeProblem("20.19.0", "linux-x64")).toBeUndefined();
    expect(nodeProblem("26.0.0", "linux-arm64")).toBeUndefined();
    expect(nodeProblem("20.18.3", "linux-x64")).toMatch(/Node 20\.18\.3 is too old.* 20\.19 or later/);
    expect(nodeProblem("18.20.0", "linux-x64")).toMatch(/too old/);
  });

  test("has to be 22.18 or later elsewhere, and the message says why", () => {
    expect(nodeProblem("22.18.0", "darwin-arm64")).toBeUndefined();
    expect(nodeProblem("22.17.0", "darwin-arm64")).toMatch(/22\.18 or later \(on darwin-arm64/);
    expect(nodeProblem("20.19.0", "win32-x64")).toMatch(/22\.18 or later/);
  });
});

describe("a child process", () => {
  test("passes its exit code on", async () => {
    await expect(run(root, process.execPath, script("process.exit(7)"))).rejects.toMatchObject({ exitCode: 7 });
    await expect(run(root, process.execPath, script("process.exit(0)"))).resolves.toBeUndefined();
  });

  test("fails the task, without being taken for Ctrl-C, when it ends with 130 by itself", async () => {
    const failure = run(root, process.execPath, script("process.exit(130)"));
    await expect(failure).rejects.toMatchObject({ exitCode: 1, interrupted: false });
  });

  test("is quiet when its output is read, unless it fails", async () => {
    const good = read(root, process.execPath, script("console.error('noise'); console.log('text')"));
    await expect(good).resolves.toBe("text\n");
    const bad = read(root, process.execPath, script("console.error('the reason'); process.exit(3)"));
    await expect(bad).rejects.toThrow("the reason");
    await expect(bad).rejects.toMatchObject({ exitCode: 3 });
  });

  test("that cannot start is a failure that names it", async () => {
    await expect(run(root, "no-such-command", [])).rejects.toThrow(/cannot start no-such-command/);
    await expect(run(root, "no-such-command", [])).rejects.toBeInstanceOf(Failure);
  });

  test("sees the workspace's tools first and no settings of the npm that started us, except the network's", async () => {
    const before = { ...process.env };
    Object.assign(process.env, { npm_config_prefix: "/nowhere", npm_lifecycle_event: "test", npm_config_proxy: "p" });
    try {
      const text = await read(root, process.execPath, script("console.log(JSON.stringify(process.env))"));
      const env = JSON.parse(text) as Record<string, string>;
      expect(env["PATH"]).toMatch(/^[^:;]*node_modules[\\/]\.bin[:;]/);
      expect(env).not.toHaveProperty("npm_config_prefix");
      expect(env).not.toHaveProperty("npm_lifecycle_event");
      expect(env).toHaveProperty("npm_config_proxy", "p");
    } finally {
      for (const key of Object.keys(process.env)) if (!(key in before)) delete process.env[key];
      Object.assign(process.env, before);
    }
  });

  // Windows has no signals to pass on.
  test.skipIf(process.platform === "win32")("gets our SIGTERM, and we wait for it to clean up", async () => {
    const child = `process.on('SIGTERM', () => { console.log('cleaned'); process.exit(0); }); setInterval(() => {}, 1000); console.log('ready')`;
    const parent = `
      import { run } from ${JSON.stringify(new URL("./process.mjs", import.meta.url).href)};
      await run(${JSON.stringify(root)}, process.execPath, ["-e", ${JSON.stringify(child)}]).catch((failure) => {
        console.log(JSON.stringify(failure));
      });`;
    const task = spawn(process.execPath, ["--input-type=module", "-e", parent], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    for await (const chunk of task.stdout) {
      text += chunk;
      if (text.endsWith("ready\n")) task.kill("SIGTERM");
    }
    expect(text).toContain("cleaned\n");
    expect(text).toContain('"exitCode":143');
    expect(text).toContain('"interrupted":true');
  });
});

test("an unknown task is refused with the list of the known ones", () => {
  const { status, stderr } = spawnSync(process.execPath, ["tools/run.mjs", "tset"], { cwd: root, encoding: "utf8" });
  expect(status).toBe(2);
  expect(stderr).toMatch(/'tset' is not a task; the tasks are setup, build, .*pack/);
});
