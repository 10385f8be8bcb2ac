import type { Vec } from "../problem/matrix.ts";
import type { Constraint } from "./constraint.ts";

/**
 * What magnitudes say of every weight [p]: |w| where so many units may stay, which is an order. Where units have costs, scores are weighed against
 * prices, and the sum that H = I keeps most of is that of squares: (w / max |w|)^2 in f64.
 */
export function magnitudes(w: Vec, constraint: Pick<Constraint, "count" | "pattern">): Vec {
  if (constraint.count || constraint.pattern) return w.map(Math.abs) as Vec;
  let largest = 0;
  for (let j = 0; j < w.length; j++) largest = Math.max(largest, Math.abs(w[j]!));
  return Float64Array.from(w, (value) => (value / (largest || 1)) ** 2);
}
