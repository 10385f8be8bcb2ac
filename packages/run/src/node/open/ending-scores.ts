import { scoresOfProbabilities, type Vec } from "@secateur/core";

/** Numbers as scores, where what gives them ends in probabilities. */
export function scoresOf(values: Float32Array, ending: string | undefined): Vec {
  if (ending === "Softmax") return scoresOfProbabilities(values, "softmax");
  return ending === "Sigmoid" ? scoresOfProbabilities(values, "sigmoid") : values;
}
