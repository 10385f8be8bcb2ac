// Child processes: which Node and PATH they get, and how their exit codes and Ctrl-C come back.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";

/**
 * Stops the task with an exit code. An empty message means that the failed child has already said why.
 * `interrupted`: the user or the system asked us to stop, so no further step may start.
 */
export class Failure extends Error {
  constructor(message, exitCode = 1, { interrupted = false } = {}) {
    super(message);
    this.exitCode = exitCode;
    this.interrupted = interrupted;
  }
}

const oldestNode = [20, 19];
// vitest and changesets need 22.12; the benchmarks are TypeScript that Node runs as it is, from 22.18 on.
const oldestToolsNode = [22, 18];
const platformsWithOwnNode = ["linux-x64", "linux-arm64"];

/** What is wrong with the Node that runs us, or undefined. */
export function nodeProblem(version = process.versions.node, platform = `${process.platform}-${process.arch}`) {
  const bringsItsOwn = platformsWithOwnNode.includes(platform);
  const [major, minor] = bringsItsOwn ? oldestNode : oldestToolsNode;
  const [foundMajor = 0, foundMinor = 0] = version.split(".").map(Number);
  if (foundMajor > major || (foundMajor === major && foundMinor >= minor)) return undefined;
  const why = bringsItsOwn ? "" : ` (on ${platform} the tools run on your own Node)`;
  return `Node ${version} is too old: this workspace needs Node ${major}.${minor} or later${why}; install a current one and run the command again`;
}

// npm hands its own settings to scripts as npm_* variables; pnpm and nx would take them for theirs.
// The registry and the network's settings are the user's, and stay.
const keptNpmVariables =
  /^npm_config_(registry|userconfig|cafile|ca|proxy|https[-_]proxy|http[-_]proxy|noproxy|strict[-_]ssl)$/i;

/** The environment of every tool: no npm_* of the caller, and the workspace's binaries (its Node among them) first on PATH. */
function toolEnvironment(root, extra = {}) {
  const env = {};
  for (const [key, value] of Object.entries(process.env)) {
    if (!/^npm_/i.test(key) || keptNpmVariables.test(key)) env[key] = value;
  }
  const path = Object.keys(env).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
  env[path] = [join(root, "node_modules", ".bin"), env[path]].filter(Boolean).join(delimiter);
  return { ...env, npm_config_update_notifier: "false", ...extra };
}

/** Runs a command to its end with our terminal. Throws a Failure that carries the child's exit code. */
export async function run(root, command, args, { cwd = root, env = {} } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: toolEnvironment(root, env),
    stdio: "inherit",
    shell: needsShell(command),
  });
  await succeed(child, command, () => "");
}

/** Runs a command and returns what it wrote to standard output; what it wrote is shown only when it fails. */
export async function read(root, command, args, { cwd = root, env = {} } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: toolEnvironment(root, env),
    stdio: ["ignore", "pipe", "pipe"],
    shell: needsShell(command),
  });
  let output = "";
  let everything = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    output += chunk;
    everything += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk) => {
    everything += chunk;
  });
  await succeed(child, command, () => `${command} ${args.join(" ")} failed:\n${everything}`);
  return output;
}

// On Windows the workspace's binaries are .cmd files, which only a shell starts; Node itself is an .exe.
function needsShell(command) {
  return process.platform === "win32" && command !== process.execPath;
}

async function succeed(child, command, describe) {
  const { code, signal, asked } = await end(child, command);
  if (asked) throw new Failure("", 128 + constants.signals[asked], { interrupted: true });
  if (signal) throw new Failure(`${command} was ended by ${signal}`, 128 + constants.signals[signal]);
  // nx ends a run in which a task failed with 130, which would read as Ctrl-C.
  if (code !== 0) throw new Failure(describe(), code > 128 ? 1 : code);
}

async function end(child, command) {
  // The terminal sends Ctrl-C to the child too: we stay until it has cleaned up, and then report its end.
  // A SIGTERM or SIGHUP reaches only us, so it is passed on.
  let asked;
  const passOn = (signal) => {
    asked = signal;
    if (signal !== "SIGINT") child.kill(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, passOn);
  try {
    const ended = await new Promise((resolve, reject) => {
      child.on("error", (cause) => reject(new Failure(`cannot start ${command}: ${cause.message}`, 127)));
      child.on("close", (code, signal) => resolve({ code, signal }));
    });
    return { ...ended, asked };
  } finally {
    for (const signal of signals) process.off(signal, passOn);
  }
}
