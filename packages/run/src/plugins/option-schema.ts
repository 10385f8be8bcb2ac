/** The JSON Schema of one plugin option, read for flags and help. */

/** A property of an options schema, as `optionProperties` gives it. */
export type OptionProperty = Readonly<Record<string, unknown>>;

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Whether the text is a decimal number; "0x10", "1_000", "" and "Infinity" are not. */
export function isDecimal(text: string): boolean {
  return decimal.test(text.trim());
}

/** "maxIterations" as a flag is --max-iterations. */
export function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Every JSON type that a value of the option may have. */
export function admittedTypes(property: OptionProperty): ReadonlySet<string> {
  const types = new Set<string>();
  for (const type of [property["type"]].flat()) if (typeof type === "string") types.add(type);
  for (const value of [...list(property["enum"]), ...("const" in property ? [property["const"]] : [])]) {
    types.add(value === null ? "null" : typeof value);
  }
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    for (const part of list(property[key])) for (const type of admittedTypes(part as OptionProperty)) types.add(type);
  }
  return types;
}

/** The fixed values the option may have, where it has only such. */
function admittedValues(property: OptionProperty): readonly unknown[] | undefined {
  if (Array.isArray(property["enum"])) return property["enum"];
  return "const" in property ? [property["const"]] : undefined;
}

/** The value that a flag's text stands for; text that fits no other type stays text, for the schema to judge. */
export function optionValue(text: string, property: OptionProperty): unknown {
  const types = admittedTypes(property);
  if (types.has("boolean") && (text === "true" || text === "false")) return text === "true";
  if ((types.has("number") || types.has("integer")) && isDecimal(text)) return Number(text);
  if (types.has("null") && text === "null") return null;
  if (types.has("object") || types.has("array")) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

/** Whether the option may have a value: its type, its range, its fixed values. What else a schema asks is left to it. */
export function admits(property: OptionProperty, value: unknown): boolean {
  const alternatives = [...list(property["anyOf"]), ...list(property["oneOf"])] as OptionProperty[];
  if (alternatives.length > 0) return alternatives.some((one) => admits(one, value));
  const values = admittedValues(property);
  if (values) return values.includes(value);
  if (typeof value !== "number") return admittedTypes(property).has(typeof value);
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = property as Partial<Record<string, number>>;
  const { type } = property;
  const isOfType = type === "number" ? Number.isFinite(value) : type === "integer" && Number.isSafeInteger(value);
  return (
    isOfType &&
    !(minimum !== undefined && value < minimum) &&
    !(maximum !== undefined && value > maximum) &&
    !(exclusiveMinimum !== undefined && value <= exclusiveMinimum) &&
    !(exclusiveMaximum !== undefined && value >= exclusiveMaximum)
  );
}

/** What the option takes, for help: "<a|b|c>", "<number>", "<number|auto>", ... */
export function valueLabel(property: OptionProperty): string {
  const labels = new Set<string>();
  collectLabels(property, labels);
  return `<${[...labels].join("|") || "value"}>`;
}

function collectLabels(property: OptionProperty, labels: Set<string>): void {
  const values = admittedValues(property);
  if (values) for (const value of values) labels.add(String(value));
  else for (const type of [property["type"]].flat()) if (typeof type === "string") labels.add(plainType(type));
  for (const key of ["anyOf", "oneOf"]) {
    for (const part of list(property[key])) collectLabels(part as OptionProperty, labels);
  }
}

function plainType(type: string): string {
  return type === "integer" ? "n" : type;
}

/** What the option takes, in a sentence: "a whole number of at least 1", "one of a, b", "a number of at least 0 or 'auto'". */
export function allowedValues(property: OptionProperty): string {
  const alternatives = [...list(property["anyOf"]), ...list(property["oneOf"])] as OptionProperty[];
  if (alternatives.length > 0) return alternatives.map(allowedValues).join(" or ");
  const values = admittedValues(property);
  if (values) return values.length === 1 ? `'${values[0]}'` : `one of ${values.join(", ")}`;
  const kinds = [property["type"]].flat().map((type) => typeNames[String(type)] ?? "a value of another kind");
  const ranges = rangeParts(property);
  return `${kinds.join(" or ")}${ranges.length === 0 ? "" : ` ${ranges.join(" and ").replace(/^at/, "of at")}`}`;
}

const typeNames: Readonly<Record<string, string>> = {
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  string: "text",
  array: "a list",
  object: "an object",
  null: "null",
};

/** What the option means, with default and range, for help. */
export function describeOption(property: OptionProperty): string {
  const range = describeRange(property);
  return `${String(property["description"] ?? "")}${range ? ` (${range})` : ""}`.trim();
}

/** Default and range in words, for help: "default 1.5, at least 1"; "" where the schema says nothing. */
export function describeRange(property: OptionProperty): string {
  const parts: string[] = [];
  if (property["default"] !== undefined) parts.push(`default ${formatValue(property["default"])}`);
  for (const part of [property, ...list(property["anyOf"]), ...list(property["oneOf"])] as OptionProperty[]) {
    parts.push(...rangeParts(part));
  }
  return parts.join(", ");
}

function rangeParts(property: OptionProperty): string[] {
  const parts: string[] = [];
  const bounds = [
    ["minimum", "at least"],
    ["exclusiveMinimum", "above"],
    ["maximum", "at most"],
    ["exclusiveMaximum", "below"],
  ] as const;
  for (const [key, words] of bounds) {
    const bound = property[key];
    // JSON Schemas of integers carry the limits of safe integers, which tell a reader nothing.
    if (typeof bound === "number" && Math.abs(bound) < Number.MAX_SAFE_INTEGER) parts.push(`${words} ${bound}`);
  }
  return parts;
}

function formatValue(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
