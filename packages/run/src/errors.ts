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

/** A browser that was started for `bench --browser` and gave no result. */
export function browserFailed(found: string): PruneError {
  return new PruneError(
    "ERR_BROWSER",
    `the browser gave no result: ${found.slice(0, 2000)}; try another one (environment variable CHROMIUM), or bench without --browser`,
    { fault: "runtime", details: { found } },
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

/** An output that would replace what is read. */
export function outputIsInput(spec: { flag: string; path: string }): PruneError {
  return new PruneError(
    "ERR_OUTPUT_IS_INPUT",
    `${spec.flag}: ${spec.path} is one of the inputs and is never overwritten, also not with --force; choose another name`,
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

/** A model with operators that are not known here, which the runtime that is installed does not run either. */
export function notRunOutside(spec: {
  where: string;
  runtime: string;
  operators: readonly string[];
  /** Why, as the runtime says, fit to be printed. */
  said: string;
  cause: unknown;
}): PruneError {
  const { where, runtime, operators, said, cause } = spec;
  return new PruneError(
    "ERR_OPERATOR",
    `${where}: ${runtime} does not run it (${said}); it has the operators ${operators.join(", ")}, which are not known here: magnitude pruning works without running it`,
    { details: { where, runtime, operators }, cause },
  );
}

/** A weight of such a model whose inputs are not had. */
export function noLayerInputsOutside(spec: { where: string; param: string; found: string }): PruneError {
  const { where, param, found } = spec;
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${where}: what '${param}' is multiplied with is not handed out: found ${found}; leave it dense (--keep-dense ${param}), or take --solver magnitude`,
    { details: spec },
  );
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

/** A file of weights that another program cut while it was read. */
export function fileShrank(path: string): PruneError {
  return new PruneError("ERR_WEIGHTS_FILE", `${path}: it became shorter while it was read; copy it again`, {
    details: { path },
  });
}

/** A weight that is no number, found where weights are read one by one. */
export function weightNotFinite(name: string, index: number): PruneError {
  const message = `'${name}': weight ${index} is infinite or no number; the file is damaged, or training had diverged`;
  return new PruneError("ERR_NOT_FINITE", message, { details: { name, index } });
}

/** What cannot be done with a model whose weights are never in memory together. */
export function tooLargeFor(spec: { path: string; what: string }): PruneError {
  const message = `${spec.path}: ${spec.what} takes all weights into memory, and this model has 2 GiB of them or more beside it; such a model is pruned by --solver magnitude with a --sparsity, or layer by layer (--solver layerwise, alps, sparsegpt, wanda or obc with --data; uniform, each layer to its own outputs)`;
  return new PruneError("ERR_USAGE", message, { details: spec });
}

/** Data that lie where the output's would. */
export function ownData(spec: { path: string; location: string }): PruneError {
  const message = `${spec.path}: its data '${spec.location}' lie where those of the output would; give an --out in another folder`;
  return new PruneError("ERR_USAGE", message, { details: spec });
}

/** A model in which no channel is without effect. */
export function nothingToCut(spec: { source: string; groups: number; frozen: readonly string[] }): PruneError {
  const { source, groups } = spec;
  const frozen = [...new Set(spec.frozen)];
  const keepers =
    frozen.length === 0
      ? ""
      : `; kept for good by ${frozen.slice(0, 3).join(", ")}${frozen.length > 3 ? ` and ${frozen.length - 3} more` : ""}`;
  const found =
    groups === 0
      ? "it has no channels that could go"
      : `none of its ${groups} groups of channels is zero, or constant where that can be folded`;
  return new PruneError(
    "ERR_NOTHING_TO_CUT",
    `${source}: nothing to cut: ${found}${keepers}; nothing was written. Channels that are zero come from secateur prune --units channels, or --units rows`,
    { details: { source, groups, frozen } },
  );
}

/** A cut model that does not compute what the whole one does. */
export function cutDiffers(spec: { source: string; difference: number }): PruneError {
  const { source, difference } = spec;
  return new PruneError(
    "ERR_CUT",
    `${source}: the cut model differs from the whole one by ${difference.toPrecision(2)} of its largest output on random inputs, which is more than rounding; nothing was written, and the model is worth a report`,
    { fault: "runtime", details: spec },
  );
}

/** Extents of inputs that vary, and no stand-in fits. */
export function shapesToTell(spec: {
  source: string;
  inputs: readonly { readonly name: string; readonly shape?: readonly (number | string | null)[] }[];
  cause: unknown;
}): PruneError {
  const { source, inputs, cause } = spec;
  const open = inputs.find(({ shape = [] }) => shape.some((extent) => typeof extent !== "number"));
  const text = (open?.shape ?? []).map((extent) => extent ?? "?").join(", ");
  const reason = cause instanceof Error ? cause.message : "no size of its inputs that was tried goes through";
  return badUsage(
    `${source}: ${reason}; its input '${open?.name}' is [${text}], so if sizes are why, say some, for example --input-shape '${open?.name}=${(open?.shape ?? []).map((extent, i) => (typeof extent === "number" ? extent : i === 0 ? "batch" : 256)).join(",")}'`,
    { source, input: open?.name },
  );
}

/** A cut model that could not be compared with the whole one. */
export function cutUnchecked(spec: { source: string; finite: number }): PruneError {
  const { source, finite } = spec;
  return new PruneError(
    "ERR_CUT",
    `${source}: of the outputs on random inputs ${(100 * finite).toFixed(0)} % are finite numbers, so that the cut model cannot be compared with the whole one; nothing was written; check the weights with secateur eval`,
    { fault: "runtime", details: spec },
  );
}

/** A model with operators that are not known, whose channels cannot be followed. */
export function operatorsToCut(spec: { source: string; operators: readonly string[] }): PruneError {
  const { source, operators } = spec;
  return new PruneError(
    "ERR_OPERATOR",
    `${source}: its operators ${operators.join(", ")} are not known here, so that channels cannot be followed and nothing can be cut; export the model without them, or pack it with the zeros that it has`,
    { details: spec },
  );
}

/** A new network in a training whose targets would be its own outputs. */
export function nothingToLearn(data: string, task: string): PruneError {
  return new PruneError(
    "ERR_TASK",
    `${data}: the task ${task}, which data without targets have, leads a network to its own outputs, and those of a new network are random; give data with targets, a task that makes them (next-token), or a checkpoint to go on from`,
    { details: { data, task } },
  );
}

/** Preprocessing that is stated and cannot be done. */
export function badPreprocessing(spec: { where: string; found: string; expected: string }): PruneError {
  const { where, found, expected } = spec;
  const remedy = "say it by --preprocess and --normalize (--preprocess none passes over what files say)";
  return new PruneError("ERR_PREPROCESS", `${where}: found ${found}, expected ${expected}; ${remedy}`, {
    details: spec,
  });
}

/** Data that are a program: workers run no code that comes with a job. */
export function dataNotPortable(data: string): PruneError {
  return badUsage(
    `--data ${data}: a program is not sent to other machines; make the data arrays (npy:), or a data source of a plugin that all of them have installed`,
    { data },
  );
}

/** A result that was in the store a moment ago. */
export function resultGone(label: string): PruneError {
  return new PruneError("ERR_BLOB_MISSING", `${label}: its result was removed from the store; repeat the command`, {
    fault: "runtime",
    details: { label },
  });
}

/** Rows whose columns cannot be read where they lie. */
export function rowsNotByColumns(path: string, found: string): PruneError {
  return new PruneError(
    "ERR_DTYPE",
    `${path}: its numbers are ${found}, and --column-shards reads f32 or f64 row by row (numpy: ascontiguousarray, dtype '<f4'); save it so`,
    { details: { path, found } },
  );
}

/** A file of gradient rows, or their folder, that the system does not let one read. */
export function rowsNotRead(path: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError("ERR_FILE_NOT_READABLE", `${path}: it cannot be read (${reason}); check its rights`, {
    cause,
    details: { path, reason },
  });
}

/** A job that no command of ours has made. @param what - which, such as "a job that holds columns" */
export function badJob(what: string, reason: string): PruneError {
  return new PruneError("ERR_JOB", `${what} is refused: ${reason}; let submitter and worker be of one version`, {
    details: { reason },
  });
}
