/**
 * Two plain loops whose speed stands for the machine's at this moment: the same code varies twofold in wall time on a shared
 * machine, so a kernel is judged by its ratio to them, measured around it in the same process.
 */

/** Best rates of the two loops so far. */
export interface Calibration {
  /** Multiply-adds in registers: four independent f64 chains, in GFLOPS. */
  readonly gflops: number;
  /** Summing a 64 MiB Float64Array, in GB/s. */
  readonly gigabytes: number;
}

const STEPS = 2_000_000;
const field = new Float64Array(8 * 1024 * 1024).fill(1);

/** Runs both loops once. */
export function calibrate(): Calibration {
  const started = performance.now();
  let a = 1;
  let b = 1;
  let c = 1;
  let d = 1;
  for (let i = 0; i < STEPS; i++) {
    a = a * 0.999 + 0.001;
    b = b * 0.998 + 0.002;
    c = c * 0.997 + 0.003;
    d = d * 0.996 + 0.004;
  }
  const middle = performance.now();
  let w = 0;
  let x = 0;
  let y = 0;
  let z = 0;
  for (let i = 0; i < field.length; i += 4) {
    w += field[i] as number;
    x += field[i + 1] as number;
    y += field[i + 2] as number;
    z += field[i + 3] as number;
  }
  const ended = performance.now();
  if (Math.abs(a + b + c + d - 4) > 1e-6 || w + x + y + z !== field.length)
    throw new Error("the calibration loop is wrong");
  return { gflops: (STEPS * 8) / (middle - started) / 1e6, gigabytes: field.byteLength / (ended - middle) / 1e6 };
}
