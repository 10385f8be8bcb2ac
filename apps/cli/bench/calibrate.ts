/**
 * Two plain loops whose time stands for the machine's at this moment: on a shared machine the same code varies twofold in
 * wall time, so a time is judged by its ratio to theirs, measured around it in the same process.
 */
import { loadavg } from "node:os";

/** The least times of the loops so far, and how often they ran. */
export interface Calibration {
  /** Runs both loops once. */
  sample(): void;
  /** Least milliseconds of one run of both loops. */
  readonly ms: number;
  /** The calibration and the machine's load, in a line. */
  describe(): string;
}

const steps = 2_000_000;

/** Makes a calibration that has run once. Holds 64 MiB. */
export function createCalibration(): Calibration {
  const field = new Float64Array(8 * 1024 * 1024).fill(1);
  let arithmetic = Number.POSITIVE_INFINITY;
  let streaming = Number.POSITIVE_INFINITY;
  const calibration: Calibration = {
    sample() {
      arithmetic = Math.min(arithmetic, multiplyAdds());
      streaming = Math.min(streaming, sum(field));
    },
    get ms() {
      return arithmetic + streaming;
    },
    describe() {
      const gflops = (steps * 8) / arithmetic / 1e6;
      const gigabytes = field.byteLength / streaming / 1e6;
      const load = loadavg().map((value) => value.toFixed(2));
      return `calibration ${calibration.ms.toFixed(1)} ms (multiply-adds in registers ${gflops.toFixed(2)} GFLOPS, summing 64 MiB ${gigabytes.toFixed(1)} GB/s); load ${load.join(" ")}`;
    },
  };
  calibration.sample();
  return calibration;
}

/** Four independent f64 chains; milliseconds. */
function multiplyAdds(): number {
  const started = performance.now();
  let [a, b, c, d] = [1, 1, 1, 1];
  for (let i = 0; i < steps; i++) {
    a = a * 0.999 + 0.001;
    b = b * 0.998 + 0.002;
    c = c * 0.997 + 0.003;
    d = d * 0.996 + 0.004;
  }
  const ms = performance.now() - started;
  if (Math.abs(a + b + c + d - 4) > 1e-6) throw new Error("the calibration loop is wrong");
  return ms;
}

function sum(field: Float64Array): number {
  const started = performance.now();
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < field.length; i += 4) {
    a += field[i]!;
    b += field[i + 1]!;
    c += field[i + 2]!;
    d += field[i + 3]!;
  }
  const ms = performance.now() - started;
  if (a + b + c + d !== field.length) throw new Error("the calibration sum is wrong");
  return ms;
}
