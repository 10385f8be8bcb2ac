/** Tasks from text: NAME, NAME:KEY=VALUE,KEY=VALUE, and several of these with weights, 0.7*NAME:...+0.3*NAME:... */
import { badOption, unknownName } from "../errors.ts";
import { firstPartyTasks, type TaskFactory } from "./first-party-tasks.ts";
import { weightedTasks } from "./losses/weighted-tasks.ts";
import type { Task } from "./task.ts";

/** One task of a text. */
export interface TaskPart {
  readonly name: string;
  /** How much it counts, > 0; 1 where nothing is said. */
  readonly weight: number;
  /** Options as typed. */
  readonly options: Readonly<Record<string, string>>;
}

/**
 * The tasks that a text names, in its order. A name may have colons of its own, PACKAGE:NAME.
 *
 * @throws ERR_OPTION for what is no KEY=VALUE, and for a weight that is no number above 0
 */
export function taskParts(text: string): readonly TaskPart[] {
  return text.split(/(?<!\d[eE])\+/).map((part) => {
    const [, factor, rest = ""] = /^\s*(?:([^*:=]*)\*)?(.*?)\s*$/s.exec(part)!;
    const equals = rest.indexOf("=");
    // The colon in front of the first option; a value may have colons too, as names of tensors have.
    const colon = equals < 0 ? rest.indexOf(":") : rest.lastIndexOf(":", equals);
    const isNameAlone = colon < 0 || (equals < 0 && !firstPartyTasks.some(({ name }) => name === rest.slice(0, colon)));
    const name = isNameAlone ? rest : rest.slice(0, colon);
    const weight = factor === undefined ? 1 : Number(factor || Number.NaN);
    if (!(weight > 0 && Number.isFinite(weight))) {
      throw badOption(`task ${name}`, `found the weight '${factor}'; give a number above 0, such as 0.3*${name}`, {
        factor,
        name,
      });
    }
    return { name, weight, options: isNameAlone ? {} : optionsIn(rest.slice(colon + 1), name) };
  });
}

function optionsIn(text: string, name: string): Readonly<Record<string, string>> {
  const options: Record<string, string> = {};
  for (const pair of text.split(",")) {
    const [, key, value] = /^([^=]+)=(.+)$/s.exec(pair) ?? [];
    if (key === undefined || value === undefined) {
      throw badOption(`task ${name}`, `found '${pair}'; give KEY=VALUE`, { pair });
    }
    options[key] = value;
  }
  return options;
}

/**
 * One task of the parts of a text: the only one, or their weighted sum under the names of the outputs they read, else their own.
 *
 * @throws ERR_OPTION
 */
export function joinTaskParts(parts: readonly (TaskPart & { readonly task: Task })[]): Task {
  const [first] = parts;
  if (first && parts.length === 1 && first.weight === 1) return first.task;
  const named = new Map<string, { task: Task; weight: number }>();
  for (const { name, task, weight, options } of parts) {
    const wanted = options["output"] ?? name;
    named.set(named.has(wanted) ? `${wanted} ${named.size + 1}` : wanted, { task, weight });
  }
  return weightedTasks(Object.fromEntries(named));
}

/**
 * A task of core's own from text.
 *
 * @throws ERR_UNKNOWN_NAME, ERR_OPTION
 * @example
 * const task = parseTask("distillation:temperature=4");
 */
export function parseTask(text: string): Task {
  return joinTaskParts(taskParts(text).map((part) => ({ ...part, task: taskOfPart(part) })));
}

function taskOfPart({ name, options: given }: TaskPart): Task {
  const factory = firstPartyTasks.find((one) => one.name === name);
  if (!factory) {
    throw unknownName({ where: "task", what: "task", found: name, known: firstPartyTasks.map((one) => one.name) });
  }
  const options: Record<string, number | string> = {};
  for (const [key, value] of Object.entries(given)) options[key] = optionOf(factory, key, value);
  return factory.create(options);
}

function optionOf({ name, options }: TaskFactory, key: string, value: string): number | string {
  const where = `task ${name}`;
  const spec = Object.hasOwn(options, key) ? options[key] : undefined;
  if (spec === undefined) {
    throw badOption(where, `found '${key}=${value}'; give KEY=VALUE with one of ${Object.keys(options).join(", ")}`, {
      key,
      value,
    });
  }
  if (spec.takes === "text") return value;
  if (spec.takes === "number") {
    const number = Number(value);
    if (!Number.isFinite(number))
      throw badOption(where, `option '${key}' is '${value}'; give a number`, { key, value });
    return number;
  }
  if (!spec.takes.includes(value)) {
    throw badOption(where, `option '${key}' is '${value}'; give ${spec.takes.join(" or ")}`, {
      key,
      value,
      takes: spec.takes,
    });
  }
  return value;
}
