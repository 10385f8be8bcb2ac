import { badOption, type OptionsSchema, optionProperties, type PluginEntry } from "@secateur/core";
import { unknownOption } from "../errors.ts";
import { allowedValues } from "./option-schema.ts";

/** Validated options with their defaults. @throws ERR_OPTION */
export async function resolveOptions(
  entry: Pick<PluginEntry, "name" | "options">,
  options: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const properties = optionProperties(entry.options);
  const known = Object.keys(properties);
  const strange = Object.keys(options).find((key) => !known.includes(key));
  if (strange !== undefined) throw unknownOption({ solver: entry.name, found: strange, known });
  const result = await (entry.options as OptionsSchema<Readonly<Record<string, unknown>>>)["~standard"].validate(
    options,
  );
  if (!result.issues) return result.value;
  // Said in our words, from what the schema admits; the validator's own words only where it judges options together.
  const problems = result.issues.map(({ path = [], message }) => {
    const [key] = path.map((part) => String(typeof part === "object" ? part.key : part));
    const property = key === undefined ? undefined : properties[key];
    if (key === undefined || property === undefined) return message;
    const found = options[key];
    return `option '${key}': found ${typeof found === "string" ? `'${found}'` : JSON.stringify(found)}, allowed is ${allowedValues(property)}`;
  });
  throw badOption(entry.name, [...new Set(problems)].join("; "), { problems, known });
}
