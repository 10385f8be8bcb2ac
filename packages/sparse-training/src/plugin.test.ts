import { describePlugin } from "@secateur/conformance";
import { test } from "vitest";
import plugin from "./plugin.ts";

// The suite trains for 8 epochs of 3 steps.
const short = { sparsity: 0.75, interval: 3 };
describePlugin({
  test,
  plugin,
  claims: {
    "training-rule gmp": { options: { sparsity: 0.75 } },
    "training-rule set": { options: { sparsity: 0.75 } },
    "training-rule rigl": { options: short },
    "training-rule granet": { options: short },
    "training-rule granet-st": { options: short },
    "training-rule ac-dc": { options: { sparsity: 0.75 } },
    "training-rule auto-prune": { straightThrough: true },
    "training-rule admm": { options: { sparsity: 0.75 } },
    "training-rule iss-p": { options: { sparsity: 0.75 } },
  },
});
