/**
 * Keeps k weights drawn without replacement, each with a probability proportional to |w|^(1 / spread): Gumbel noise is added
 * to log |w| / spread, and the k largest sums stay (Kool, van Hoof, Welling: Stochastic Beams and Where to Find Them,
 * ICML 2019). Towards spread 0 it is magnitude pruning.
 *
 * @param {{ spread?: number }} [options] spread: above 0; default 0.1
 * @returns {import("@secateur/core").Saliency}
 */
export function stochasticMagnitude({ spread = 0.1 } = {}) {
  return {
    needs: {},
    score({ w }, { rng }) {
      const draws = rng.fork("stochastic-magnitude");
      const gumbel = () => -Math.log(-Math.log(draws.next() || Number.MIN_VALUE));
      return Float64Array.from(w.data, (value) => Math.log(Math.abs(value)) / spread + gumbel());
    },
  };
}
