/** The options of a selector and an updater as one schema, so that flags, help, recipes and validation know one method. */
import { type OptionsSchema, optionProperties } from "@secateur/core";

type Values = Readonly<Record<string, unknown>>;
type AnyOptions = OptionsSchema<never>;

/** Options of a pair: a name that both have belongs to the selector, and is `updateNAME` for the updater. */
export interface PairOptions {
  readonly schema: OptionsSchema<Values>;
  /** The two parts of options that the schema accepted. */
  split(options: Values): { readonly selector: Values; readonly updater: Values };
}

/** Joins two schemas. */
export function pairOptions(selector: AnyOptions, updater: AnyOptions): PairOptions {
  const own = optionProperties(selector);
  const renamed = new Map(Object.keys(optionProperties(updater)).map((key) => [rename(key, own), key] as const));
  const split: PairOptions["split"] = (options) => {
    const parts = { selector: {} as Record<string, unknown>, updater: {} as Record<string, unknown> };
    for (const [key, value] of Object.entries(options)) {
      const theirs = renamed.get(key);
      // A key that nobody knows is the selector's to refuse.
      if (theirs === undefined) parts.selector[key] = value;
      else parts.updater[theirs] = value;
    }
    return parts;
  };
  const input = (): Record<string, unknown> => ({
    type: "object",
    additionalProperties: false,
    properties: {
      ...own,
      ...Object.fromEntries([...renamed].map(([name, key]) => [name, optionProperties(updater)[key]])),
    },
  });
  return {
    split,
    schema: {
      "~standard": {
        version: 1,
        vendor: "secateur",
        async validate(value) {
          const parts = split(value as Values);
          const [left, right] = [
            await selector["~standard"].validate(parts.selector),
            await updater["~standard"].validate(parts.updater),
          ];
          const issues = [...(left.issues ?? []), ...(right.issues ?? [])];
          if (issues.length > 0) return { issues };
          const names = new Map([...renamed].map(([name, key]) => [key, name] as const));
          const values = Object.entries("value" in right ? (right.value as Values) : {});
          return {
            value: {
              ...("value" in left ? (left.value as Values) : {}),
              ...Object.fromEntries(values.map(([key, chosen]) => [names.get(key) ?? key, chosen])),
            },
          };
        },
        jsonSchema: { input, output: input },
      },
    },
  };
}

function rename(key: string, taken: Readonly<Record<string, unknown>>): string {
  return Object.hasOwn(taken, key) ? `update${key.charAt(0).toUpperCase()}${key.slice(1)}` : key;
}
