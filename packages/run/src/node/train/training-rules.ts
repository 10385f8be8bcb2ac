/** From the names of training rules and their options, as a user gives them, to rules. */
import { assertRulesAgree, nearestName, optionProperties, type TrainingRule } from "@secateur/core";
import { badUsage, flagWithoutEffect } from "../../errors.ts";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { notePlugin } from "../../plugins/note-plugin.ts";
import { kebab, optionValue } from "../../plugins/option-schema.ts";
import { resolveOptions } from "../../plugins/resolve-options.ts";
import type { Session } from "../../session.ts";
import { findEntry } from "../plugins/find-entry.ts";

/** Which rules act while a network trains. */
export interface RuleSettings {
  /** Names of rules, asked in this order. */
  readonly rule?: readonly string[];
  /** The sparsity of the one rule that has such an option. */
  readonly sparsity?: number;
  /** "KEY=VALUE" of the one rule that has the option, or "RULE.KEY=VALUE". */
  readonly ruleOption?: readonly string[];
}

/**
 * The rules, in the order of their names, and the plugins that they come from.
 *
 * @throws ERR_UNKNOWN_NAME for a name that no plugin has; ERR_USAGE for options without a rule that has them, or with several; ERR_OPTION
 */
export async function openRules(
  settings: RuleSettings,
  from: string,
  session: Session,
): Promise<{ readonly rules: readonly TrainingRule[]; readonly sources: readonly FoundEntry[] }> {
  const { rule: names = [], sparsity, ruleOption: pairs = [] } = settings;
  if (names.length === 0) {
    const given = sparsity === undefined ? pairs[0] && `--rule-option ${pairs[0]}` : "--sparsity";
    if (given) throw flagWithoutEffect({ flag: given, reason: "training without --rule prunes nothing" });
    return { rules: [], sources: [] };
  }
  const found = await Promise.all(
    names.map((name) => findEntry({ name, from, kinds: ["training-rule"], what: "training rule" })),
  );
  for (const one of found) notePlugin(one, session);
  // Rules that cannot go together need no options.
  if (found.length > 1) {
    assertRulesAgree(
      await Promise.all(found.map(async ({ entry }) => entry.create((await resolveOptions(entry, {})) as never))),
    );
  }
  const entries = found.map(({ entry }) => ({ entry, properties: optionProperties(entry.options) }));
  const options = new Map<string, Record<string, unknown>>(entries.map(({ entry }) => [entry.name, {}]));
  const give = (typed: string, read: (property: Readonly<Record<string, unknown>>) => unknown, flag: string): void => {
    const dot = typed.lastIndexOf(".");
    const [owner, key] = dot > 0 ? [typed.slice(0, dot), typed.slice(dot + 1)] : [undefined, typed];
    const takers = entries.flatMap(({ entry, properties }) => {
      if (owner !== undefined && entry.name !== owner) return [];
      const known = Object.keys(properties).find((own) => own === key || kebab(own) === key);
      return known === undefined ? [] : [{ name: entry.name, known, property: properties[known]! }];
    });
    const [taker, other] = takers;
    if (!taker) {
      const known = entries.flatMap(({ entry, properties }) =>
        Object.keys(properties).map((own) => `${entry.name}.${own}`),
      );
      const near = nearestName(
        key,
        known.map((name) => name.slice(name.lastIndexOf(".") + 1)),
      );
      const hint = near === undefined ? "" : `; did you mean '${near}'?`;
      throw badUsage(`${flag}: no rule has an option '${typed}'; known: ${known.join(", ") || "none"}${hint}`, {
        flag,
        typed,
      });
    }
    if (other) {
      throw badUsage(
        `${flag}: ${takers.map(({ name }) => name).join(" and ")} both have an option '${key}'; say --rule-option ${taker.name}.${key}=VALUE and --rule-option ${other.name}.${key}=VALUE`,
        { flag, key, name: taker.name },
      );
    }
    const own = options.get(taker.name)!;
    if (own[taker.known] !== undefined)
      throw badUsage(`${flag}: '${taker.known}' of ${taker.name} is set twice; set it once`, {
        flag,
        known: taker.known,
        name: taker.name,
      });
    own[taker.known] = read(taker.property);
  };
  if (sparsity !== undefined) give("sparsity", () => sparsity, "--sparsity");
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw badUsage(`--rule-option: found '${pair}', allowed is KEY=VALUE such as interval=2`, { pair });
    give(pair.slice(0, at), (property) => optionValue(pair.slice(at + 1), property), `--rule-option ${pair}`);
  }
  const rules = await Promise.all(
    entries.map(
      async ({ entry }) =>
        (await entry.create((await resolveOptions(entry, options.get(entry.name)!)) as never)) as TrainingRule,
    ),
  );
  return { rules, sources: found };
}
