import { expect, test } from "vitest";
import { decidingArguments, pruneArguments } from "./prune-command.ts";

const argv = [
  ...[
    "sweep",
    "net.onnx",
    "--data",
    "mnist",
    "--solvers",
    "a,b",
    "--sparsities=.5,.9",
    "--seeds",
    "3,4",
    "--goal",
    "bytes<=9",
  ],
  ...["--examples", "20", "--first-order", "--option", "a:x=1", "--option", "b:y=2", "--keep-dense", "first"],
  ...["--queue", "redis://host", "--out", "s.json", "--shard=1/2", "--force", "--json"],
];
const command = decidingArguments(argv);

test("where and how a sweep is run decides nothing", () => {
  expect(command).toEqual(argv.slice(0, -7));
});

test("a configuration is one prune, with the options of its own solver", () => {
  const common = { command, sparsity: 0.9, seed: 3 };
  expect(pruneArguments({ ...common, solver: "a", ridge: "auto", takesGradients: true })).toEqual([
    ...["prune", "net.onnx", "--data", "mnist", "--examples", "20", "--first-order", "--option", "x=1"],
    ...["--keep-dense", "first", "--solver", "a", "--sparsity", "0.9", "--ridge", "auto", "--seed", "3"],
  ]);
  expect(pruneArguments({ ...common, solver: "b", takesGradients: false })).toEqual([
    ...["prune", "net.onnx", "--data", "mnist", "--option", "y=2", "--keep-dense", "first"],
    ...["--solver", "b", "--sparsity", "0.9", "--seed", "3"],
  ]);
});
