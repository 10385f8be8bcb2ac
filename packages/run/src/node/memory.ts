import process from "node:process";

/** The largest resident memory of this process so far, in bytes. */
export function peakMemoryBytes(): number {
  // Node reports kilobytes on every platform.
  return process.resourceUsage().maxRSS * 1024;
}
