/** Where the time of a run went, as tables. */
import { formatCount, formatDuration, formatPercent, plainText } from "./format.ts";
import { formatTable } from "./table.ts";

/** Time of one task or kernel, in milliseconds, and how often it was reported or called. */
interface ProfiledPart {
  readonly name: string;
  readonly ms: number;
  readonly calls: number;
}

/** The longest first; tasks add up to the whole. */
interface ProfiledParts {
  readonly tasks: readonly ProfiledPart[];
  readonly kernels: readonly ProfiledPart[];
}

/** Kernels that are shown; the rest takes next to nothing. */
const shownKernels = 12;

/** The profile for people: time by task, which adds up to the whole, and within it time by kernel. */
export function profileText({ tasks, kernels }: ProfiledParts): string {
  const whole = tasks.reduce((sum, { ms }) => sum + ms, 0);
  const rows = (parts: readonly ProfiledPart[]): string[][] =>
    parts.map(({ name, ms, calls }) => [
      plainText(name),
      formatDuration(ms),
      formatPercent((100 * ms) / (whole || 1)),
      formatCount(calls),
    ]);
  const right = { align: "right" } as const;
  const table = (title: string, count: string, parts: readonly ProfiledPart[]): string =>
    formatTable(
      [{ title }, { title: "time", ...right }, { title: "of the whole", ...right }, { title: count, ...right }],
      rows(parts),
    );
  const inKernels = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const others = { name: "outside of kernels", ms: Math.max(0, whole - inKernels), calls: 1 };
  return [
    table("task", "reports", [...tasks, { name: "in all", ms: whole, calls: 1 }]),
    table("kernel", "calls", [...kernels.slice(0, shownKernels), others]),
  ].join("\n");
}
