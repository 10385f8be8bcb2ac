/**
 * Keeps k weights drawn without replacement, each with a probability proportional to |w|^(1 / temperature): Gumbel noise is added
 * to log |w| / temperature, and the k largest sums stay (Kool, van Hoof, Welling: Stochastic Beams and Where to Find Them,
 * ICML 2019). Towards temperature 0 it is magnitude pruning.
 *
 * @param {{ temperature?: number }} [options] temperature: above 0; default 0.1
 * @returns {import("@secateur/core").Saliency}
 */
export function stochasticMagnitude({ temperature = 0.1 } = {}) {
  return {
    needs: {},
    score({ w }, { rng }) {
      const draws = rng.fork("stochastic-magnitude");
      const gumbel = () => -Math.log(-Math.log(draws.next() || Number.MIN_VALUE));
      return Float64Array.from(w.data, (value) => Math.log(Math.abs(value)) / temperature + gumbel());
    },
  };
}
