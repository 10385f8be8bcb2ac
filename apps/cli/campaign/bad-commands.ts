/**
 * Commands that must be refused: for each the kind of message and exit code 2, one line, nothing written. MODEL, DATA, G and W
 * stand for whole files; every other word is as it would be typed. `bad-commands.test.ts` runs all of them.
 */

/** A command and the code that its message must have. */
export interface BadCommand {
  readonly argv: readonly string[];
  readonly code: string;
}

const prune = ["prune", "MODEL", "--data", "DATA"];
const train = ["train", "--arch", "mlp:6-5-3", "--data", "DATA", "--out", "t.safetensors"];
const compare = ["compare", "MODEL", "--data", "DATA", "--solvers", "magnitude", "--sparsities", "0.5"];
const solve = ["solve", "--gradients", "G", "--weights", "W", "--solver", "magnitude", "--sparsity", "0.5"];
const evaluate = ["eval", "MODEL", "--data", "DATA"];
const sensitivity = ["sensitivity", "MODEL", "--data", "DATA"];

const noNumbers = ["x", "", "1e", "0x10", "1,5", "--", "NaN", "\u001b[31m"];
const notWhole = [...noNumbers, "-1", "1.5", "Infinity"];

/** Each flag with values that it does not take. */
const badValues: readonly (readonly [base: readonly string[], flag: string, values: readonly string[]])[] = [
  [prune, "--sparsity", [...noNumbers, "1", "-0.1", "2"]],
  [prune, "--seed", notWhole],
  [prune, "--threads", [...notWhole, "0"]],
  [prune, "--stages", [...noNumbers, "0", "-1", "1.5"]],
  [prune, "--examples", [...notWhole, "0"]],
  [prune, "--kernels", ["", "gpu", "WASM"]],
  [prune, "--schedule", ["", "cubic"]],
  [prune, "--engine", ["", "tpu"]],
  [train, "--epochs", [...notWhole, "1e12"]],
  [[...prune, "--retrain", "llr"], "--retrain-epochs", [...notWhole, "0", "1e12"]],
  [[...prune, "--retrain", "llr"], "--phases", [...notWhole, "0", "1e9"]],
  [train, "--batch-size", [...notWhole, "0"]],
  [train, "--learning-rate", [...noNumbers, "0", "-1", "Infinity"]],
  [train, "--momentum", [...noNumbers, "1", "-0.1"]],
  [train, "--weight-decay", [...noNumbers, "-1"]],
  [train, "--keep-epochs", ["x", "", "1,,2", "-1"]],
  [solve, "--keep", notWhole],
  [evaluate, "--seed", notWhole],
  [sensitivity, "--tolerance", noNumbers],
];

const flagged = badValues.flatMap(([base, flag, values]) =>
  // A value that begins with a dash would be taken for another flag.
  values.map((value): BadCommand => ({ argv: [...base, `${flag}=${value}`], code: "ERR_" })),
);

/** Words that are wrong by themselves. */
const single: readonly (readonly [code: string, ...argv: readonly string[]])[] = [
  ["ERR_USAGE", "prun", "MODEL"],
  ["ERR_USAGE", "--sparsity", "0.5"],
  ["ERR_USAGE", "version"],
  ["ERR_UNKNOWN_NAME", "help", "prun"],
  ["ERR_USAGE", "prune", "MODEL", "--data"],
  ["ERR_USAGE", "prune", "MODEL", "--date", "DATA"],
  ["ERR_USAGE", ...prune, "extra"],
  ["ERR_USAGE", ...prune, "--resume=yes"],
  ["ERR_USAGE", "train", "--data", "DATA", "--out", "t.safetensors"],
  ["ERR_USAGE", "train", "--arch", "mlp:6-5-3", "--data", "DATA"],
  ["ERR_USAGE", "train", "--arch", "mlp:6-5-3", "--out", "t.safetensors"],
  ["ERR_USAGE", ...train, "--keep-zeros"],
  ["ERR_USAGE", "train", "MODEL", "--data", "DATA", "--out", "t.safetensors", "--keep-zeros", "--no-keep-zeros"],
  ["ERR_USAGE", ...train, "--epochs", "2", "--keep-epochs", "3"],
  ["ERR_OUTPUT_FORMAT", "train", "--arch", "mlp:6-5-3", "--data", "DATA", "--out", "t.txt"],
  ["ERR_OUTPUT_FOLDER", "train", "--arch", "mlp:6-5-3", "--data", "DATA", "--out", "no/such/t.safetensors"],
  ["ERR_OUTPUT_FORMAT", ...prune, "--solver", "magnitude", "--out", "out.pt"],
  ["ERR_OUTPUT_IS_INPUT", ...prune, "--solver", "magnitude", "--out", "MODEL"],
  ["ERR_FILE_NOT_FOUND", "prune", "no.safetensors", "--data", "DATA", "--solver", "magnitude"],
  ["ERR_NOT_A_FILE", "prune", ".", "--data", "DATA", "--solver", "magnitude"],
  ["ERR_UNKNOWN_NAME", ...prune, "--solver", "magnitud"],
  ["ERR_UNKNOWN_NAME", ...prune, "--selector", "nobody"],
  ["ERR_USAGE", ...prune, "--solver", "magnitude", "--option", "nope=1"],
  ["ERR_USAGE", ...prune, "--solver", "magnitude", "--option", "nope"],
  ["ERR_IMPOSSIBLE", ...prune, "--solver", "magnitude", "--sparsity", "0.999"],
  ["ERR_IMPOSSIBLE", ...prune, "--solver", "magnitude", "--keep-dense", "first,last"],
  ["ERR_UNKNOWN_NAME", ...prune, "--solver", "magnitude", "--keep-dense", "fc9"],
  ["ERR_ARCHITECTURE", ...evaluate, "--arch", "mlp:"],
  ["ERR_ARCHITECTURE", ...evaluate, "--arch", "mlp:6"],
  ["ERR_ARCHITECTURE", ...evaluate, "--arch", "mlp:6-0-3"],
  ["ERR_ARCHITECTURE", ...evaluate, "--arch", "mlp:784-100000000-10"],
  ["ERR_UNKNOWN_NAME", ...evaluate, "--arch", "resnet21"],
  ["ERR_UNKNOWN_NAME", ...evaluate, "--arch", "__proto__"],
  ["ERR_UNKNOWN_NAME", ...evaluate, "--arch", ""],
  ["ERR_ARCHITECTURE", ...evaluate, "--arch", "{"],
  ["ERR_ARCHITECTURE", ...evaluate, "--arch", "{}"],
  ["ERR_USAGE", ...evaluate, "--arch", "no-such.json"],
  ["ERR_WEIGHTS_MISMATCH", ...evaluate, "--arch", "mlp:6-4-3:nobias"],
  ["ERR_USAGE", ...evaluate, "--map", "x"],
  ["ERR_USAGE", ...evaluate, "--map", "=fc1"],
  ["ERR_USAGE", ...evaluate, "--map", "a=b=c"],
  ["ERR_USAGE", ...evaluate, "--map", "a=b", "--map", "a=c"],
  ["ERR_USAGE", ...evaluate, "--engine", "cpu"],
  ["ERR_UNKNOWN_NAME", "eval", "MODEL", "--data", "minst"],
  ["ERR_DATA_SPEC", "eval", "MODEL", "--data", "npy:"],
  ["ERR_DATA_SPEC", "eval", "MODEL", "--data", "cifar10"],
  ["ERR_FILE_NOT_FOUND", "eval", "MODEL", "--data", "npy:no.npy,no2.npy"],
  ["ERR_FILE_NOT_FOUND", "eval", "MODEL", "--data", "images:no-such-folder"],
  ["ERR_CLASS_FOLDERS", "eval", "MODEL", "--data", "images:."],
  ["ERR_FILE_NOT_FOUND", "eval", "MODEL", "--data", "mnist:no-such-folder"],
  ["ERR_NORMALIZE", ...evaluate, "--normalize", "0"],
  ["ERR_NORMALIZE", ...evaluate, "--normalize", "0,0"],
  ["ERR_NORMALIZE", ...evaluate, "--normalize", "a,b"],
  ["ERR_", "compare", "MODEL", "--data", "DATA", "--solvers", "magnitude"],
  ["ERR_", "compare", "MODEL", "--data", "DATA", "--sparsities", "0.5"],
  ["ERR_", "compare", "MODEL", "--data", "DATA", "--solvers", "", "--sparsities", "0.5"],
  ["ERR_", "compare", "MODEL", "--data", "DATA", "--solvers", "magnitude,nobody", "--sparsities", "0.5"],
  ["ERR_", "compare", "MODEL", "--data", "DATA", "--solvers", "magnitude", "--sparsities", "1.5"],
  ["ERR_", "compare", "MODEL", "--data", "DATA", "--solvers", "magnitude", "--sparsities", "a"],
  ["ERR_USAGE", ...compare, "--option", "stages=3"],
  ["ERR_USAGE", ...compare, "--option", "chita:stages=3"],
  ["ERR_USAGE", ...compare, "--option", "magnitude:nope=1"],
  ["ERR_USAGE", ...compare, "--option", "magnitude:ridge=1"],
  ["ERR_USAGE", ...compare, "--curvature-option", "x=1"],
  ["ERR_USAGE", "bench", "--calibrate", "--fix", "a=1"],
  ["ERR_USAGE", "bench", "--calibrate", "MODEL"],
  ["ERR_OUTPUT_", ...prune, "--solver", "magnitude", "--out", "/proc/x.safetensors"],
  ["ERR_OUTPUT_", ...prune, "--solver", "magnitude", "--out", "/proc/x/model.json"],
  ["ERR_OUTPUT_", ...compare, "--report", "/proc/report.html"],
  ["ERR_OUTPUT_", ...compare, "--events", "/proc/events.jsonl"],
  ["ERR_", ...compare, "--report", "report.txt"],
  ["ERR_", ...compare, "--report", "no/such/report.html"],
  ["ERR_", "solve", "--gradients", "G", "--weights", "W", "--solver", "magnitude"],
  ["ERR_", "solve", "--weights", "W", "--solver", "magnitude", "--sparsity", "0.5"],
  ["ERR_", "solve", "--gradients", "W", "--weights", "G", "--solver", "magnitude", "--sparsity", "0.5"],
  ["ERR_", "solve", "--gradients", "MODEL", "--weights", "W", "--solver", "magnitude", "--sparsity", "0.5"],
  ["ERR_", ...solve, "--keep", "3"],
  ["ERR_OUTPUT_FORMAT", ...solve, "--out", "w.txt"],
  ["ERR_FILE_NOT_FOUND", "inspect", "no.safetensors"],
  ["ERR_FORMAT", "inspect", "G"],
  ["ERR_USAGE", "inspect"],
  ["ERR_USAGE", "inspect", "MODEL", "MODEL"],
  ["ERR_USAGE", "inspect", "MODEL", "--engine", "cpu"],
  ["ERR_UNKNOWN_NAME", "explain", "nobody"],
  ["ERR_USAGE", "explain"],
  ["ERR_FILE_NOT_FOUND", "prune", "--recipe", "no.recipe.json"],
  ["ERR_", "prune", "--recipe", "MODEL"],
  ["ERR_", "inspect", "\u001b]0;title\u0007.safetensors"],
  ["ERR_", "inspect", "x".repeat(300)],
  ["ERR_", "inspect", "a\nb"],
  ["ERR_", ...prune, `--${"y".repeat(100_000)}`],
  ["ERR_", ...prune, "--solver", "z".repeat(100_000)],
];

/** All of them. */
export const badCommands: readonly BadCommand[] = [...flagged, ...single.map(([code, ...argv]) => ({ code, argv }))];
