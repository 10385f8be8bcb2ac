/** Every error this package throws itself, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";

/** No TensorFlow.js, or not the engine asked for. */
export function engineMissing(spec: {
  wanted: string;
  packages: readonly string[];
  found: readonly string[];
}): PruneError {
  const { wanted, packages, found } = spec;
  const has = found.length === 0 ? "none is installed" : `installed are ${found.join(", ")}`;
  return new PruneError(
    "ERR_TFJS_ENGINE",
    `TensorFlow.js: ${wanted} is needed and ${has}; install it with: npm install ${packages.join(" ")}`,
    { details: spec },
  );
}

/** A package is there and does not start. */
export function engineFailed(spec: { engine: string; cause: unknown }): PruneError {
  const { engine, cause } = spec;
  return new PruneError(
    "ERR_TFJS_ENGINE",
    `TensorFlow.js: the engine ${engine} is installed and does not start: ${reasonOf(cause)}; choose another engine, or repair this one`,
    { fault: "runtime", cause, details: { engine } },
  );
}

/** A model.json that is not one. */
export function badModelJson(spec: { source: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_TFJS_MODEL",
    `${spec.source}: found ${spec.found}, expected ${spec.expected}; give a model.json that TensorFlow.js or tensorflowjs_converter wrote`,
    { details: spec },
  );
}

/** A file of weights that the manifest names cannot be read. */
export function missingShard(spec: { source: string; shard: string; cause: unknown }): PruneError {
  return new PruneError(
    "ERR_TFJS_SHARD",
    `${spec.source}: its weights file '${spec.shard}' cannot be read (${reasonOf(spec.cause)}); put it beside model.json under that name`,
    { cause: spec.cause, details: { source: spec.source, shard: spec.shard } },
  );
}

/** Weights files whose bytes are not what the manifest says. */
export function wrongShardLength(spec: {
  source: string;
  shards: readonly string[];
  found: number;
  expected: number;
}): PruneError {
  const { source, shards, found, expected } = spec;
  return new PruneError(
    "ERR_TFJS_SHARD",
    `${source}: the weights files ${shards.slice(0, 8).join(", ")}${shards.length > 8 ? ", ..." : ""} hold ${found} bytes and the manifest describes ${expected}; copy the whole model again`,
    { details: spec },
  );
}

/** A tensor's type that is none of TensorFlow.js. */
export function unknownDtype(spec: {
  source: string;
  weight: string;
  found: string;
  known: readonly string[];
}): PruneError {
  return new PruneError(
    "ERR_TFJS_DTYPE",
    `${spec.source}: weight '${spec.weight}' has the dtype '${spec.found}'; known: ${spec.known.join(", ")}; convert the model again`,
    { details: spec },
  );
}

/** TensorFlow.js refuses the model. Keras 3 writes layers that it does not read, such as batch_shape for batch_input_shape. */
export function modelRefused(spec: { source: string; cause: unknown; kerasVersion?: unknown }): PruneError {
  const { source, cause, kerasVersion } = spec;
  const isKeras3 = typeof kerasVersion === "string" && /^[3-9]\./.test(kerasVersion);
  const remedy = isKeras3
    ? `it was exported by Keras ${kerasVersion.slice(0, 20)}, whose layers TensorFlow.js does not read: export it with TF_USE_LEGACY_KERAS=1 and tf_keras, or save it with model.export(FOLDER) and convert that with tensorflowjs_converter --input_format=tf_saved_model`
    : "register its custom layers and load it yourself, or convert it again";
  const message = `${source}: TensorFlow.js does not load this model: ${reasonOf(cause)}; ${remedy}`;
  return new PruneError("ERR_TFJS_MODEL", message, { cause, details: { source } });
}

/** Several inputs, where one is needed. */
export function notOne({ model, found }: { model: string; found: readonly string[] }): PruneError {
  return new PruneError(
    "ERR_TFJS_MODEL",
    `model '${model}' has ${found.length} inputs (${found.join(", ")}) and one is expected; build a model over the one that matters, for example tf.model({ inputs: model.inputs[0], outputs: model.outputs })`,
    { details: { model, found, allowed: 1 } },
  );
}

/** An output whose first dimension is not that of the examples. */
export function notBatched(spec: {
  model: string;
  output: string;
  found: readonly number[];
  examples: number;
}): PruneError {
  const { model, output, found, examples } = spec;
  return new PruneError(
    "ERR_TFJS_MODEL",
    `model '${model}' gives ${examples} example(s) an output '${output}' of shape [${found.join(", ")}], expected [${examples}, ...]; give it an output with a row for each example`,
    { details: { model, output, found, examples } },
  );
}

/** Data of another shape or with more classes than the model. */
export function dataMismatch(spec: { model: string; data: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_DATA_MISMATCH",
    `data '${spec.data}' has ${spec.found}, but model '${spec.model}' takes ${spec.expected}; choose data of that shape or another model`,
    { details: spec },
  );
}

/** Examples that do not divide into rows. */
export function unevenRows(model: string, examples: number, batch: number): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `model '${model}': ${examples} examples do not make rows of ${batch}; give a positive multiple of the batch`,
    { details: { model, examples, batch } },
  );
}

/** A compiled loss of which only values and slopes are known. */
export function lossWithoutHessian(): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    "the loss that the model was compiled with is a function without a known Hessian; take curvature from gradient rows (empirical-fisher), or name a task",
  );
}

/** TensorFlow.js cannot differentiate the model. */
export function notDifferentiable(spec: { model: string; cause: unknown }): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `model '${spec.model}' gives no gradients: ${reasonOf(spec.cause)}; use a method without gradients, such as magnitude`,
    { cause: spec.cause, details: { model: spec.model } },
  );
}

/** A setting that is none of the known ones. */
export function badSetting(spec: { what: string; found: string; known: readonly string[] }): PruneError {
  return new PruneError("ERR_OPTION", `${spec.what}: found '${spec.found}', allowed is ${spec.known.join(", ")}`, {
    details: spec,
  });
}

/** A caught value in one line. */
function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/\s+/g, " ").trim().replace(/[.;]$/, "").slice(0, 300);
}
