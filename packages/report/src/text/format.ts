/** Numbers and durations as people read them. */
import type { Evaluation } from "@secateur/core";

/** 32360 -> "32,360" */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

/** Gradient rows, and of how many examples each is the mean where that is more than one: `2,000`, `2,000 of 16 examples`. */
export function formatRows({ rows, batch }: { readonly rows: number; readonly batch: number }): string {
  return `${formatCount(rows)}${batch === 1 ? "" : ` of ${batch} examples`}`;
}

/** Percent with two places: 93.97 -> "93.97 %" */
export function formatPercent(value: number): string {
  return `${value.toFixed(2)} %`;
}

/** A measure of a task: 93.97 % accuracy, or 0.1234 rmse. */
export function formatMeasure({ value, unit }: { readonly value: number; readonly unit: string }): string {
  return unit === "%" ? formatPercent(value) : `${formatNumber(value)}${unit === "" ? "" : ` ${unit}`}`;
}

/** Tasks whose loss is a cross-entropy; the losses of others have the unit that their numbers have. */
const crossEntropies = ["classification", "position-classification", "binary", "next-token", "distillation"];

/** What tells the unit of a loss. */
type LossOf = Pick<Evaluation, "task" | "measures">;

/** The unit of a task's loss, and so of objectives, which are changes of it: "nats", or "" where only the data know. */
export function lossUnit({ task, measures }: LossOf): string {
  // A dense network's values, unlike its class scores, are compared by squared errors.
  const isSquared = measures.some(({ name }) => name.startsWith("rmse"));
  return crossEntropies.includes(task) && !isSquared ? "nats" : "";
}

/** A loss with its unit. */
export function formatLoss({ loss, ...of }: LossOf & Pick<Evaluation, "loss">): string {
  return formatMeasure({ value: loss, unit: lossUnit(of) });
}

/** A measure as the title of an axis: "accuracy (%)", "rmse". */
export function measureTitle({ name, unit }: { readonly name: string; readonly unit: string }): string {
  return unit === "" ? name : `${name} (${unit})`;
}

/** A fraction as percent with as few places as it needs: 0.9 -> "90 %", 0.90003 -> "90.003 %" */
export function formatFraction(value: number): string {
  return `${Number((100 * value).toFixed(3))} %`;
}

/** Four significant digits, exponents where they help. */
export function formatNumber(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(3);
}

/** Milliseconds as "340 ms", "2.41 s", "3 min 05 s", "3 h 05 min" or "2 d 4 h". */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole >= 86_400) return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
  if (whole >= 3600)
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** Bytes as "812 B", "129.6 kB" or "1.21 GB" (powers of 1000, as disks and networks count). */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(value >= 100 ? 4 : 3)} ${units[unit]}`;
}

/** A solver's own numbers: "iterations 20, gap 0.0123". */
export function formatStats(stats: Readonly<Record<string, number>>): string {
  return Object.entries(stats)
    .map(([name, value]) => `${name} ${formatNumber(value)}`)
    .join(", ");
}

/** A shape as [40, 784]. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/**
 * Text from a file or a package, made fit for a terminal: control characters cannot steer it, and of more than 500
 * characters the rest is left out.
 */
export function plainText(text: string): string {
  const short = text.length > 500 ? `${text.slice(0, 497)}...` : text;
  return short.replace(/[\p{Cc}\p{Cf}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
