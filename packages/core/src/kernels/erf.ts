/**
 * The error function, to f64 rounding: Maclaurin series erf(x) = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!! for |x| < 3 (all terms
 * positive: no cancellation), and the continued fraction of erfc above (Abramowitz and Stegun 1964, 7.1.6 and 7.1.14).
 */

/** erf(x), absolute error below 1e-15. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (size > 6) return Math.sign(x);
  if (size < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (size + fraction);
  const complement = Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction);
  return Math.sign(x) * (1 - complement);
}
