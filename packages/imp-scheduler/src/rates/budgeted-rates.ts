/**
 * Rates of BIMP (Zimmer et al. 2023, section 4): a dense training with a linear rate, then cycles of a triangle each,
 * 10 % up and 90 % down to 0. The amplitude of the cycles is eta_max, falls linearly over them, or is ALLR's.
 */

/** How the amplitude goes over the cycles. */
export type Amplitude = "constant" | "decaying" | "adaptive";

/** All of them. */
export const amplitudes: readonly Amplitude[] = ["constant", "decaying", "adaptive"];

/** Linear from `peak` at step 0 to 0 at step `steps`: of a budgeted dense training. */
export function linearRate(spec: { steps: number; peak: number }, step: number): number {
  return spec.peak * (1 - step / spec.steps);
}

/** A triangle: up to `peak` over the first floor(steps / 10) steps, then down to 0 at step `steps`. */
export function triangularRate(spec: { steps: number; peak: number }, step: number): number {
  const { steps, peak } = spec;
  const up = Math.floor(0.1 * steps);
  return step < up ? (peak * step) / up : peak * (1 - (step - up) / (steps - up));
}

/** The amplitude of cycle `cycle` of `cycles` (counted from 0), from their `peak` eta_max: eta_max, or eta_max (1 - cycle / cycles). */
export function cyclePeak(spec: { peak: number; cycle: number; cycles: number; amplitude: Amplitude }): number {
  const { peak, cycle, cycles, amplitude } = spec;
  return amplitude === "decaying" ? peak * (1 - cycle / cycles) : peak;
}
