import type { PluginSpec } from "../plugin-files.ts";
import type { PluginKind } from "../plugin-kinds.ts";

interface Wording {
  readonly define: string;
  /** Where `define` does not say it. */
  readonly kind?: PluginKind;
  readonly summary: string;
  readonly explanation: string;
  /** Absent: it has none. */
  readonly option?: string;
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
  task: {
    ...{ define: "defineEntry", kind: "task" },
    summary: "regression that far errors pull less",
    explanation: "The loss is scale^2 log cosh((z - y) / scale): a parabola for small errors, a line for large ones.",
    option: `scale: z.number().positive().default(1).describe("errors above it count by their size, not by its square")`,
  },
  "training-rule": {
    ...{ define: "defineEntry", kind: "training-rule" },
    summary: "pulls small weights to zero harder than large ones",
    explanation: "The penalty strength * sum |w| / (|w| + scale) is added to the loss of every step.",
    option: `strength: z.number().min(0).default(1e-4).describe("of the penalty"),
  scale: z.number().positive().default(0.01).describe("weights above it are hardly pulled")`,
  },
  format: {
    ...{ define: "defineEntry", kind: "format" },
    summary: "tensors as JSON, their bits as hexadecimal text",
    explanation: "Holds f32 and f64, bit by bit, and free text beside the tensors.",
  },
};

const schemaOf = (option: string): string => `
// Each option needs a description: flags, --help, the documentation and the checks are made of them.
const options = z.strictObject({
  ${option},
});
`;

/** src/plugin.js: the manifest of the plugin and the schema of its options. */
export function pluginSource({ name, kind }: PluginSpec): string {
  const { define, kind: told, summary, explanation, option } = wordings[kind];
  const names = [define, "definePlugin", ...(option === undefined ? ["noOptions"] : [])].sort();
  return `// The manifest: plain data that the command line reads. Programs import the method itself, and load none of this.
import { ${names.join(", ")} } from "@secateur/core";
${option === undefined ? "" : 'import { z } from "zod";\n'}import { ${name.identifier} } from "./${name.method}.js";
${option === undefined ? "" : schemaOf(option)}
export default definePlugin({
  api: 2,
  name: "${name.packageName}",
  entries: [
    ${define}({${told === undefined ? "" : `\n      kind: "${told}",`}
      name: "${name.method}",
      summary: "${summary}",
      explanation: "${explanation}",
      // reference: "Authors: Title, venue and year",
      options${option === undefined ? ": noOptions" : ""},
      create: ${name.identifier},
    }),
  ],
});
`;
}
