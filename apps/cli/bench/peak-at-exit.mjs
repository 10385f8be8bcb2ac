// Loaded by memory.ts into a process it starts (`node --import`): at the end writes the process's peak memory in bytes to
// file descriptor 3. Plain JavaScript, because stripping types takes memory of its own.
import { readFileSync, writeSync } from "node:fs";
import process from "node:process";
import { isMainThread } from "node:worker_threads";

// Threads load it too, and end earlier.
if (isMainThread) process.on("exit", () => writeSync(3, `${peakBytes()}`));

function peakBytes() {
  try {
    // A process that was started by a larger one inherits that one's maxRSS, but not its VmHWM.
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024; // No such file outside Linux.
  }
}
