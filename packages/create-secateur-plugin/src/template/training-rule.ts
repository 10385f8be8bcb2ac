/** src/METHOD.js of a training rule: one that works, to be replaced. */
export const trainingRule = `/**
 * Pulls small weights to zero harder than large ones, by the penalty strength * sum |w| / (|w| + scale): replace it by yours, and say
 * here what it does and where it comes from (authors, year, equation).
 *
 * @param {{ strength?: number, scale?: number }} [options] strength: of the penalty, >= 0; scale: weights above it are hardly pulled, > 0
 * @returns {import("@secateur/core").TrainingRule}
 */
export function METHOD({ strength = 1e-4, scale = 0.01 } = {}) {
  return {
    name: "NAME",
    // A training is continued only under the same.
    settings: JSON.stringify({ strength, scale }),
    // Hooks of one training: penalty, onGradients, afterStep (masks, by setMask), reparameterize, state and restore. Weights are only read.
    begin: ({ params }) => ({
      // Returns what is added to the loss, and adds its gradient to that of the loss.
      penalty({ weights, gradients }) {
        let sum = 0;
        for (const { name, prunable } of params) {
          const [w, gradient] = [weights.get(name)?.data, gradients.get(name)?.data];
          if (!prunable || !w || !gradient) continue;
          for (let j = 0; j < w.length; j++) {
            const size = Math.abs(w[j]) + scale;
            sum += Math.abs(w[j]) / size;
            gradient[j] += (strength * scale * Math.sign(w[j])) / size ** 2;
          }
        }
        return strength * sum;
      },
    }),
  };
}
`;
