/** Every error that putting a run together can raise, one factory each. Codes are stable; messages may improve. */
import { nearestName, PruneError } from "@secateur/core";

/** Flags or arguments that cannot be understood, or that contradict each other. @param details - what the message says, as data */
export function badUsage(message: string, details: Readonly<Record<string, unknown>> = {}): PruneError {
  return new PruneError("ERR_USAGE", message, { details });
}

/** A setting that neither what is named nor the plan has. @param spec.solver - or a task, a rule, whatever has options */
export function unknownOption(spec: { solver: string; found: string; known: readonly string[] }): PruneError {
  const { solver, found, known } = spec;
  const near = nearestName(found, known);
  const hint = near === undefined ? "" : `; did you mean '${near}'?`;
  return badUsage(`${solver} has no option '${found}'; known: ${known.join(", ") || "none"}${hint}`, spec);
}

/** A sparsity so high that nothing would be left. */
export function keepsNothing(spec: { where: string; sparsity: number; size: number }): PruneError {
  const { where, sparsity, size } = spec;
  // Rounded down to two digits more than needed, so that what is printed keeps one weight.
  const digits = 10 ** (Math.ceil(Math.log10(size)) + 2);
  const largest = Math.floor((1 - 1 / size) * digits) / digits;
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `${where}: sparsity ${sparsity} keeps 0 of ${size} weights; the largest sparsity that keeps one is ${largest}`,
    { details: spec },
  );
}

/** Nothing is left to prune. */
export function keepsAll(where: string): PruneError {
  return new PruneError("ERR_IMPOSSIBLE", `${where}: --keep-dense names every layer with weights; leave one to prune`, {
    details: { where },
  });
}

/** Gradients that say nothing: with an automatic ridge of 0 beside them there is no curvature at all. */
export function noGradients(where: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `${where}: every gradient is 0, and so is the automatic ridge, which follows them; look for weights of 0 or a layer that passes nothing on, or judge layers by their inputs (--solver layerwise)`,
    { details: { where } },
  );
}

/** Sums outgrew the range of the numbers they are kept in. */
export function overflowed(where: string): PruneError {
  return new PruneError(
    "ERR_OVERFLOW",
    `${where}: the numbers overflowed; rescale the gradients (divide them by a power of ten) or raise --ridge; nothing was written`,
    { fault: "runtime", details: { where } },
  );
}

/** A flag that could not change anything here. */
export function flagWithoutEffect(spec: { flag: string; reason: string }): PruneError {
  return badUsage(`${spec.flag} would change nothing: ${spec.reason}; leave it out`, spec);
}

/** The checkpoint holds tensors only and nothing tells which network they belong to. */
export function architectureNeeded(spec: { path: string; tensors: string; known: readonly string[] }): PruneError {
  return new PruneError(
    "ERR_ARCHITECTURE",
    `${spec.path}: it holds only tensors (${spec.tensors}) and they fit no built-in network by themselves; ` +
      `say which one with --arch: ${spec.known.join(", ")}, mlp:SIZES such as mlp:784-300-10, or a file such as net.json ` +
      "that describes its layers; for other networks give a TensorFlow.js model.json, or make a ModelAdapter in code",
    { details: spec },
  );
}

/** A text such as "mlp:784-x" that describes no network. @param spec.where - what it comes from */
export function badArchitecture(spec: { where: string; found: string; cause?: unknown }): PruneError {
  const { where, found, cause } = spec;
  return new PruneError(
    "ERR_ARCHITECTURE",
    `${where}: '${found.slice(0, 200)}' describes no network; allowed is mlp:SIZES with two or more whole numbers joined by '-', ` +
      "and ':nobias' after them for layers without bias, such as mlp:784-40-20-10:nobias, or JSON with name, inputShape, classes and layers",
    { cause, details: { where, found } },
  );
}

/** A layer of a network that is given as data. */
export function badLayer(spec: { where: string; l: number; problem: string; allowed: string }): PruneError {
  const { where, l, problem, allowed } = spec;
  return new PruneError("ERR_ARCHITECTURE", `${where}: layers[${l}]: ${problem}; ${allowed}`, { details: spec });
}

/** A network that would not fit into memory. */
export function largeArchitecture(spec: { where: string; found: string; count: number; limit: number }): PruneError {
  const { where, found, count, limit } = spec;
  return new PruneError(
    "ERR_ARCHITECTURE",
    `${where}: '${found.slice(0, 200)}' has ${count} parameters, allowed are at most ${limit}; make its layers smaller`,
    { details: spec },
  );
}

/** Tensors of a file that several of a network's could be. Paths of modules. */
export function ambiguousTensors(spec: {
  path: string;
  network: string;
  ambiguous: readonly { readonly expected: string; readonly found: readonly string[] }[];
}): PruneError {
  const { path, network, ambiguous } = spec;
  const list = ambiguous.slice(0, 4).map(({ expected, found }) => {
    const names = found.slice(0, 4).map((name) => `'${name.slice(0, 60)}'`);
    return `'${expected}' may be ${names.join(" or ")}${found.length > 4 ? ` or ${found.length - 4} others` : ""}`;
  });
  const more = ambiguous.length > 4 ? `, and ${ambiguous.length - 4} more` : "";
  const [first] = ambiguous;
  return new PruneError(
    "ERR_TENSOR_NAMES",
    `${path}: its shapes do not tell which tensor is which of '${network}': ${list.join("; ")}${more}; ` +
      `say it with --map, such as --map '${first?.found[0]?.slice(0, 60)}=${first?.expected}'`,
    { details: spec },
  );
}

/** Whole numbers where weights belong: quantised ones, whose scale is not in the file. */
export function integerWeights(spec: { path: string; tensor: string; dtype: string }): PruneError {
  const { path, tensor, dtype } = spec;
  return new PruneError(
    "ERR_DTYPE",
    `${path}: tensor '${tensor.slice(0, 100)}' holds ${dtype} numbers where weights belong, and no scale; ` +
      "convert the network to floating point before, for example with dequantize() in PyTorch",
    { details: spec },
  );
}

/** A plugin package was found and could not be loaded. */
export function pluginFailed(spec: { name: string; place: string; cause: unknown; remedy: string }): PruneError {
  const { name, place, cause, remedy } = spec;
  const reason = (cause instanceof Error ? cause.message : String(cause)).trim().replace(/\.$/, "");
  return new PruneError("ERR_PLUGIN_LOAD", `plugin '${name}' at ${place} failed to load: ${reason}; ${remedy}`, {
    fault: "runtime",
    cause,
    details: { name, place, remedy },
  });
}

/** A plugin could not be loaded, and packages that it needs are not there. `missing`: those its package.json names; empty: others. */
export function pluginIncomplete(spec: {
  name: string;
  place: string;
  missing: readonly string[];
  cause: unknown;
}): PruneError {
  const { name, place, missing, cause } = spec;
  const reason = (cause instanceof Error ? cause.message : String(cause)).trim().replace(/\.$/, "");
  const remedy =
    missing.length > 0
      ? `${missing.map((one) => `'${one}'`).join(", ")} ${missing.length === 1 ? "is one" : "are some"} of its dependencies: run npm install in ${place}`
      : "its package.json does not name what it imports: tell its author; npm install of the missing package may help until then";
  return new PruneError("ERR_PLUGIN_LOAD", `plugin '${name}' at ${place} failed to load: ${reason}; ${remedy}`, {
    cause,
    details: { name, place, missing },
  });
}

/** A plugin could not be loaded, and a package that it needs beside it is missing or of another version. */
export function unmetPeer(spec: {
  name: string;
  place: string;
  peer: string;
  range: string;
  found: string | undefined;
  cause: unknown;
}): PruneError {
  const { name, place, peer, range, found, cause } = spec;
  const has = found === undefined ? "it is not installed" : `found is ${found}`;
  return new PruneError(
    "ERR_PLUGIN_PEER",
    `plugin '${name}' at ${place} needs ${peer} ${range} beside it, and ${has}; run npm install '${peer}@${range}' ` +
      "there, or install a version of the plugin for the one you have",
    { cause, details: { name, place, peer, range, found } },
  );
}

/** Something inside a plugin failed that is none of our errors. */
export function pluginCrashed(spec: { plugin: string; entry: string; cause: unknown }): PruneError {
  const { plugin, entry, cause } = spec;
  const reason = (cause instanceof Error ? cause.message : String(cause)).trim().replace(/\.$/, "");
  return new PruneError(
    "ERR_PLUGIN_CRASH",
    `plugin '${plugin}' (${entry}) failed: ${reason}; tell its author, or use another method`,
    { fault: "runtime", cause, details: { plugin, entry } },
  );
}

/** An entry of a plugin makes something that is not of its kind, or a method of it returns what it must not. */
export function badProduct(spec: { plugin: string; entry: string; method: string; found: string }): PruneError {
  const { plugin, entry, method, found } = spec;
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${plugin}' (${entry}): ${method} returned ${found}; tell its author, or install another version of it`,
    { details: spec },
  );
}

/** A plugin has an option that users could not set by its flag. */
export function optionIsFlag(spec: { name: string; place: string; entry: string; option: string }): PruneError {
  const { name, place, entry, option } = spec;
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${name}' at ${place}: ${entry} has the option '${option}', which is a flag of the command line; its author has to give the option another name`,
    { details: spec },
  );
}

/** A plugin of the first interface, or one whose manifest is not where it is looked for. */
export function oldPlugin(spec: { name: string; place: string; api: 1 | 2 }): PruneError {
  const { name, place, api } = spec;
  const found =
    api === 1
      ? "it is of plugin interface 1, and this secateur speaks 2"
      : "its manifest is the default export of the package itself";
  const remedy =
    "move the manifest to a file of its own that exports it by default with api: 2, and name that file in package.json as" +
    ' exports["./plugin"] (see docs/write-a-solver.md)';
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${name}' at ${place}: ${found}; install a newer version of it, or if it is yours: ${remedy}`,
    { details: spec },
  );
}

/** A package that is no plugin, or of another version of the interface. */
export function badPlugin(spec: { name: string; place: string; found: string; remedy?: string }): PruneError {
  const { name, place, found, remedy = "tell its author, or install another version of it" } = spec;
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${name}' at ${place}: found ${found}, expected a manifest made by definePlugin with api 2 as the default export of its subpath ./plugin; ${remedy}`,
    { details: spec },
  );
}

/** A recipe file that is not one. */
export function badRecipe(spec: { path: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_RECIPE",
    `${spec.path}: not a recipe: found ${spec.found}, expected ${spec.expected}; give a .recipe.json that secateur prune wrote`,
    { details: spec },
  );
}

/** A setting of retraining or allocation that is not allowed. */
export function badRetrainSetting(spec: { where: string; key: string; found: string; allowed: string }): PruneError {
  const { where, key, found, allowed } = spec;
  return new PruneError("ERR_OPTION", `${where}: '${key}': found ${found}, allowed is ${allowed}`, { details: spec });
}

/** A checkpoint to rewind to that is of another network. */
export function rewindMismatch(path: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError(
    "ERR_REWIND",
    `--rewind: ${path} is no checkpoint of this network: ${reason}; give one that the same training saved earlier`,
    { cause, details: { path } },
  );
}

/** The saved state is of another run, or is damaged. */
export function badState(path: string, found: string): PruneError {
  return new PruneError(
    "ERR_RESUME",
    `${path}: ${found}; repeat the command of the interrupted run with --resume, or start afresh without --resume and with --force`,
    { details: { path, found } },
  );
}

/** A limit on what packing gives, of a model that cannot be packed. */
export function costsNeedGraph(path: string): PruneError {
  return badUsage(
    `${path}: --bytes and --milliseconds are those of the packed network, and a TensorFlow.js model cannot be packed; limit --flops, or convert the model first`,
  );
}

/** An input whose size is left open, where it has to be known. */
export function openExtent(spec: {
  name: string;
  place: number;
  shape: readonly (number | string | null)[];
}): PruneError {
  const { name, place, shape } = spec;
  const text = shape.map((extent) => extent ?? "?").join(", ");
  const example = shape.map((extent, i) => (typeof extent === "number" ? extent : i === 0 ? "batch" : 64)).join(",");
  return badUsage(
    `input '${name}' is [${text}]: its extent ${place} is left open, and a packed network has fixed sizes but for its batch; say how large, for example --input-shape '${name}=${example}'`,
    spec,
  );
}

/** Storing values costs more accuracy than allowed. */
export function packedLossTooLarge(spec: { values: string; lost: number; allowed: number }): PruneError {
  const { values, lost, allowed } = spec;
  return new PruneError(
    "ERR_PACK_LOSS",
    `storing values as ${values} loses ${lost.toFixed(2)} points of accuracy, and --max-loss allows ${allowed}; nothing was written: take --values f16, or allow more`,
    { details: spec },
  );
}

/** A limit on lost accuracy where the task has none. */
export function maxLossWithoutAccuracy(task: string): PruneError {
  return badUsage(
    `--max-loss is in points of accuracy, and the task ${task} has none; nothing was written: leave it out and compare the losses that pack --json prints`,
    { task },
  );
}

/** A file whose ending asks for a format that a plugin can only write. */
export function onlyWrites(spec: { path: string; format: string; plugin: string }): PruneError {
  const { path, format, plugin } = spec;
  return new PruneError(
    "ERR_FORMAT",
    `${path}: the format '${format}' of ${plugin} only writes files and reads none; give the network in another format`,
    { details: spec },
  );
}

/** A file of the ending of a plugin's format, which does not take it for its own. */
export function notOfFormat(spec: { path: string; format: string; plugin: string }): PruneError {
  const { path, format, plugin } = spec;
  return new PruneError(
    "ERR_FORMAT",
    `${path}: the format '${format}' of ${plugin} does not take it for one of its files, nor does any other; the file is damaged, or its name has a wrong ending`,
    { details: spec },
  );
}

/** An output's name that does not say what the file is. */
export function badEnding(spec: { flag: string; path: string; allowed: string }): PruneError {
  return new PruneError(
    "ERR_OUTPUT_FORMAT",
    `${spec.flag}: ${spec.path} must end in ${spec.allowed}; rename the output`,
    { details: spec },
  );
}

/** Something of a network that the other format cannot say, or that is not written yet. @param spec.can - what to do instead */
export function notExported(spec: { source: string; found: string; can: string }): PruneError {
  const { source, found, can } = spec;
  return new PruneError("ERR_EXPORT", `${source}: ${found} cannot be written; ${can}`, { details: spec });
}

/** An ONNX operator set that does not hold what is written. */
export function opsetTooLow(spec: { found: number; lowest: number; newest: number }): PruneError {
  const { found, lowest, newest } = spec;
  return badUsage(`--opset is ${found}; this graph is written in operator sets ${lowest} to ${newest}`, {
    found,
    lowest,
    newest,
  });
}
