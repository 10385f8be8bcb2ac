/** Best-of-several timing, and small statistics. */
import type { Calibration } from "./calibrate.ts";

/** A result and the least milliseconds it took. */
export interface Timed<T> {
  readonly value: T;
  readonly ms: number;
}

/** Runs the work a few times, with calibration runs between, outside the clock. The value is the last run's. */
export async function bestOf<T>(runs: number, calibration: Calibration, work: () => T | Promise<T>): Promise<Timed<T>> {
  let ms = Number.POSITIVE_INFINITY;
  let value: T | undefined;
  for (let run = 0; run < runs; run++) {
    calibration.sample();
    const started = performance.now();
    value = await work();
    ms = Math.min(ms, performance.now() - started);
  }
  return { value: value as T, ms };
}

/** The mean. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation of a sample; 0 for a single value. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}
