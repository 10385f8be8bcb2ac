import { badName, takenName } from "./errors.ts";
import type { PluginKind } from "./plugin-kinds.ts";

/** The names that follow from what the user typed. */
export interface PluginName {
  /** What users type after --solver: "my-method", "@me/my-method". */
  readonly typed: string;
  /** The package: "secateur-plugin-my-method", "@me/secateur-plugin-my-method". */
  readonly packageName: string;
  /** The entry and the file: "my-method". */
  readonly method: string;
  /** The function: "myMethod". */
  readonly identifier: string;
}

const prefix = "secateur-plugin-";

/** First names of built-in methods; the command line looks there first. */
const builtIn: readonly string[] = [
  "alps",
  "bso",
  "cbs",
  "chita",
  "dsnot",
  "empirical-fisher",
  "gauss-newton",
  "kfac",
  "gradient-flow",
  "grasp",
  "kronecker-gauss-newton",
  "layerwise",
  "magnitude",
  "none",
  "obc",
  "obd",
  "obs",
  "osscar",
  "prospr",
  "random",
  "snip",
  "snows",
  "sparsegpt",
  "sparseswaps",
  "structured-obs",
  "synflow",
  "taylor",
  "wanda",
  "woodfisher",
];

/** The same of what is no method. */
const builtInOthers: Partial<Record<PluginKind, readonly string[]>> = {
  task: ["binary", "classification", "distillation", "next-token", "position-classification", "regression"],
  "training-rule": [
    ...[
      "ac-dc",
      "admm",
      "auto-prune",
      "filters",
      "gmp",
      "granet",
      "granet-st",
      "iss-p",
      "perp",
      "polarization",
      "powerpropagation",
    ],
    ...["rigl", "set", "stamp", "tpp"],
  ],
  format: ["npy", "onnx", "pytorch", "safetensors"],
};

/** Words that JavaScript keeps for itself, of those that fit the pattern of names, and those that the templates use. */
const reserved =
  /^(arguments|arrays|await|break|case|catch|class|const|continue|debugger|default|delete|descend|detects|do|dot|else|enum|eval|export|extends|false|finally|for|function|if|implements|import|in|instanceof|interface|let|magic|masked|matrix|new|null|objective|options|package|plugin|private|protected|public|read|return|static|super|switch|this|throw|true|try|typeof|var|void|while|with|yield|z)$/;

/**
 * The names of a plugin. The prefix `secateur-plugin-` may be typed or left out.
 *
 * @param kind - names of ours are taken for their own kind only; default: a method
 * @throws ERR_NAME, ERR_NAME_TAKEN
 */
export function pluginName(text: string, kind: PluginKind = "solver"): PluginName {
  const slash = text.lastIndexOf("/") + 1;
  const scope = text.slice(0, slash);
  const last = text.slice(slash);
  const method = last.startsWith(prefix) ? last.slice(prefix.length) : last;
  if (scope !== "" && !/^@[a-z0-9][a-z0-9-]*\/$/.test(scope)) throw badName(text, "has a scope that npm refuses");
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(method))
    throw badName(text, "cannot be a package, a flag's value and a file");
  if (scope.length + prefix.length + method.length > 214) throw badName(text, "is longer than npm allows");
  const others = builtInOthers[kind];
  if (scope === "" && (others ?? builtIn).includes(method)) {
    throw takenName(method, others ? kind.replace("-", " ") : "method");
  }
  const camel = method.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const identifier = reserved.test(camel) ? `${camel}Method` : camel;
  return { typed: `${scope}${method}`, packageName: `${scope}${prefix}${method}`, method, identifier };
}
