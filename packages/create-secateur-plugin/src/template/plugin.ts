import type { PluginKind, PluginSpec } from "../plugin-files.ts";

interface Wording {
  readonly define: string;
  readonly summary: string;
  readonly explanation: string;
  readonly option: string;
}

const mixOption = `mix: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("how much the curvature counts: 0 is magnitude pruning, 1 is Optimal Brain Damage")`;
const stepsOption = `steps: z.int().min(1).default(10).describe("steepest-descent steps on the kept weights")`;

/** What each kind says of itself. */
const wordings: Readonly<Record<PluginKind, Wording>> = {
  saliency: {
    define: "defineSaliency",
    summary: "keep the weights of largest H_jj^mix w_j^2",
    explanation: "Between magnitude pruning (mix 0) and Optimal Brain Damage (mix 1). Kept weights stay as they are.",
    option: mixOption,
  },
  selector: {
    define: "defineSelector",
    summary: "the mask of largest H_jj^mix w_j^2",
    explanation: "Between magnitude pruning (mix 0) and Optimal Brain Damage (mix 1). Any updater can follow.",
    option: mixOption,
  },
  updater: {
    define: "defineUpdater",
    summary: "a few steepest-descent steps on the kept weights",
    explanation: "Each step divides the slope of the local model by the diagonal of H and goes as far as helps most.",
    option: stepsOption,
  },
  solver: {
    define: "defineSolver",
    summary: "the largest weights, improved by a few steepest-descent steps",
    explanation: "Each step divides the slope of the local model by the diagonal of H and goes as far as helps most.",
    option: stepsOption,
  },
};

/** src/plugin.js: the manifest of the plugin and the schema of its options. */
export function pluginSource({ name, kind }: PluginSpec): string {
  const { define, summary, explanation, option } = wordings[kind];
  return `// The manifest: plain data that the command line reads. Programs import the method itself, and load none of this.
import { ${[define, "definePlugin"].sort().join(", ")} } from "@secateur/core";
import { z } from "zod";
import { ${name.identifier} } from "./${name.method}.js";

// Each option needs a description: flags, --help, the documentation and the checks are made of them.
const options = z.strictObject({
  ${option},
});

export default definePlugin({
  api: 2,
  name: "${name.packageName}",
  entries: [
    ${define}({
      name: "${name.method}",
      summary: "${summary}",
      explanation: "${explanation}",
      // reference: "Authors: Title, venue and year",
      options,
      create: ${name.identifier},
    }),
  ],
});
`;
}
