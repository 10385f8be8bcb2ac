/** Recipes to start from: JSON with comments, which `prune --recipe` reads as they are. */

/** What a template is for. */
export const recipeKinds = ["imp", "prune", "gradual"] as const;

/** The text of a recipe. */
export function recipeTemplate(spec: { kind: (typeof recipeKinds)[number]; model?: string; data?: string }): string {
  const { kind, model = "model.safetensors", data = "mnist" } = spec;
  const parts = {
    imp: impPart,
    gradual: gradualPart,
    prune: prunePart,
  } as const satisfies Record<(typeof recipeKinds)[number], string>;
  return `// A recipe for: secateur prune --recipe FILE
// Comments and trailing commas are allowed. Only "recipe" must be there: flags win over the recipe, defaults fill the rest.
// Every run writes what it did, with all defaults filled in, as OUT.recipe.json beside its output.
{
  "recipe": 1,

  // The trained network: a checkpoint (safetensors, PyTorch), an ONNX model, or a TensorFlow.js model.json. Paths are relative to this file.
  "model": ${JSON.stringify(model)},
  // "arch": "mlpnet",            // which network the tensors belong to, where the file does not say

  // Gradients and training see its training split only; accuracy is measured on its test split.
  "data": ${JSON.stringify(data)},

${parts[kind]}
  // All random choices; the same recipe gives the same bytes.
  "seed": 0,
}
`;
}

const allocationPart = `  // How the kept weights are spread over layers: global, uniform, uniform+, erk, lamp, random.
  "allocation": {
    "method": "global",
    // "exclude": ["fc3"],        // layers that stay dense; * stands for any characters
    // "limits": { "fc2*": 0.9 }, // the largest sparsity of layers
  },
`;

const impPart = `  // Which weights are kept: magnitude (IMP), chita, or any solver of secateur plugins.
  "solver": "magnitude",
  // The fraction of the prunable weights to remove in the end.
  "sparsity": 0.95,

  "retrain": {
    // The learning rate of each round: ft, lrw, slr, clr, llr or allr; llr falls linearly from the highest rate to 0.
    "schedule": "llr",
    // Epochs of retraining in all, shared by the rounds.
    "epochs": 10,
    // Rounds; each prunes the same fraction of what is left. "auto": 20 % a round.
    "phases": 3,
    // "sparsities": [0.7, 0.9, 0.95],  // in place of phases: the sparsity after each round, never decreasing

    // How the network was trained: its rates are where those of retraining come from. secateur train writes this
    // into the network; leave it out then.
    // "dense": { "schedule": "one-cycle", "learningRate": 0.1, "epochs": 10 },
    // "learningRate": 0.05,      // another highest rate

    // From the network's own training, unless given:
    // "optimizer": "sgd", "batchSize": 64, "momentum": 0.9, "nesterov": false, "weightDecay": 5e-4,
    // "labelSmoothing": 0, "cropPadding": 0, "flip": false,

    // "rewind": "model.epoch-2.safetensors",  // put kept weights back to an earlier checkpoint after each pruning

    // End a round when the loss of held-out training examples has not fallen for so many epochs; keep the best.
    // "patience": 2, "holdOut": 0.1,
  },

${allocationPart}`;

const gradualPart = `  "solver": "magnitude",
  "sparsity": 0.95,

  "retrain": {
    // gmp: cubic sparsity during one training; gradual: prunings between restarted cosines (the CHITA paper's);
    // bimp: dense training and cycles of pruning and retraining within one budget of epochs.
    "schedule": "gmp",
    // Of the whole training.
    "epochs": 20,
    // Epochs between prunings.
    "interval": 2,
    // "learningRate": 0.1,       // the highest
    // "budget": 10,              // of bimp: epochs of dense training first
    // "amplitude": "constant",   // of bimp: constant, decaying or adaptive
  },

${allocationPart}`;

const prunePart = `  // secateur plugins lists the methods, secateur explain NAME says what they do and choose.
  "solver": "chita",
  // Options of the solver; none are needed.
  "options": {},
  "sparsity": 0.95,
  // Other limits, beside the sparsity or in its place: fractions of the dense network that are kept, and what is kept or removed together.
  // "flops": 0.2, "bytes": 0.1, "milliseconds": 2, "units": ["fc1=blocks:4x1"],
  // Settings of the run; what is left out is the solver's own plan. "stages": 10, "examples": 2000, ...
  "plan": {},

${allocationPart}`;
