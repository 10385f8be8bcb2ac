/** The tasks that have a name: what `--task` and registries of plugins are made of. */
import { binary } from "./losses/binary.ts";
import { classification } from "./losses/classification.ts";
import { distillation } from "./losses/distillation.ts";
import { nextToken } from "./losses/next-token.ts";
import { positionClassification } from "./losses/position-classification.ts";
import { regression } from "./losses/regression.ts";
import type { Task } from "./task.ts";

/** A task as users name it. Options are plain data: numbers, or words. */
export interface TaskFactory {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  /** By name: whether it takes a number, a word of anybody's choice, or one of the given; and what it is for. */
  readonly options: Readonly<
    Record<string, { readonly takes: "number" | "text" | readonly string[]; readonly summary: string }>
  >;
  /** @throws ERR_OPTION */
  create(options: Readonly<Record<string, number | string>>): Task;
}

const output = { takes: "text", summary: "the output it reads; default: the only one" } as const;
const target = { takes: "text", summary: "the target it compares with; default: the only one" } as const;

/** Core's own. */
export const firstPartyTasks: readonly TaskFactory[] = [
  {
    name: "classification",
    summary: "one class an example: cross-entropy, accuracy",
    options: { output, target, top: { takes: "number", summary: "also measure whether the label is among so many" } },
    create: classification,
  },
  {
    name: "position-classification",
    summary: "one class a position (tokens, pixels): cross-entropy over what is not ignored, accuracy",
    options: { output, target, ignore: { takes: "number", summary: "the label that does not count; default -100" } },
    create: positionClassification,
  },
  {
    name: "binary",
    summary: "yes or no for each score, one or several an example: logistic loss, accuracy",
    options: { output, target },
    create: binary,
  },
  {
    name: "regression",
    summary: "numbers: squared or Huber error, root mean square and mean absolute error",
    options: { output, target, huber: { takes: "number", summary: "errors beyond it count linearly; default: none" } },
    create: regression,
  },
  {
    name: "distillation",
    summary: "no labels: the dense network's outputs are the targets",
    options: {
      output,
      loss: { takes: ["kl", "squared"], summary: "divergence of class scores, or squared error; default kl" },
      temperature: { takes: "number", summary: "divides class scores; default 1" },
    },
    create: distillation,
  },
  {
    name: "next-token",
    summary: "the next token of a sequence: cross-entropy, perplexity; no labels, the inputs are the targets",
    options: {
      output,
      input: { takes: "text", summary: "the input with the tokens; default: the only one, or input_ids" },
      ignore: { takes: "number", summary: "a token that is not to be predicted, such as padding" },
    },
    create: nextToken,
  },
];
