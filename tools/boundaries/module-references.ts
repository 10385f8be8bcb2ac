import { parseSync } from "vite";

/** One thing that a source file refers to. */
export interface ModuleReference {
  readonly specifier: string;
  /** `type`: nothing is left of it in the compiled file; `url`: a worker or an asset, not a part of the module graph. */
  readonly kind: "import" | "type" | "url";
}

/** What the boundary rules want to know of one source file. */
export interface SourceFacts {
  readonly references: readonly ModuleReference[];
  /** Uses of what makes a run differ from the last one, or writes past the event stream: `Math.random`, `console.log`, ... */
  readonly impurities: readonly string[];
}

const impureMembers = new Map([
  ["Math", new Set(["random"])],
  ["Date", new Set(["now"])],
]);

/** Reads imports, re-exports, `import()`, `import("x").T` types and `new URL("./x", import.meta.url)` from TypeScript source. */
export function sourceFacts(fileName: string, text: string): SourceFacts {
  const { program, errors } = parseSync(fileName, text);
  if (errors.length > 0) throw new Error(`${fileName} does not parse: ${errors[0]?.message}`);
  const references: ModuleReference[] = [];
  const impurities: string[] = [];
  visit(program, (node) => {
    const reference = moduleReference(node);
    if (reference) references.push(reference);
    const impurity = impureUse(node);
    if (impurity) impurities.push(impurity);
  });
  return { references, impurities };
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

function visit(value: unknown, look: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, look);
  } else if (isNode(value)) {
    look(value);
    for (const child of Object.values(value)) visit(child, look);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function moduleReference(node: Node): ModuleReference | undefined {
  switch (node.type) {
    case "ImportDeclaration":
      return reference(node["source"], node["importKind"] === "type" ? "type" : "import");
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      return reference(node["source"], node["exportKind"] === "type" ? "type" : "import");
    case "ImportExpression":
      return reference(node["source"], "import");
    case "TSImportType":
      return reference(node["source"], "type");
    case "NewExpression": {
      const [path, base] = node["arguments"] as readonly unknown[];
      return isNamed(node["callee"], "URL") && memberName(base) === "import.meta.url"
        ? reference(path, "url")
        : undefined;
    }
    default:
      return undefined;
  }
}

function reference(source: unknown, kind: ModuleReference["kind"]): ModuleReference | undefined {
  if (!isNode(source) || source.type !== "Literal" || typeof source["value"] !== "string") return undefined;
  return { specifier: source["value"], kind };
}

function impureUse(node: Node): string | undefined {
  if (node.type === "NewExpression" && isNamed(node["callee"], "Date")) {
    return (node["arguments"] as readonly unknown[]).length === 0 ? "new Date()" : undefined;
  }
  const name = memberName(node);
  if (name === undefined) return undefined;
  const [object = "", property = ""] = name.split(".");
  return object === "console" || impureMembers.get(object)?.has(property) ? name : undefined;
}

function isNamed(node: unknown, name: string): boolean {
  return isNode(node) && node.type === "Identifier" && node["name"] === name;
}

/** `a.b.c` as text, or undefined for anything that is not a plain chain of names. */
function memberName(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "Identifier") return node["name"] as string;
  if (node.type === "MetaProperty") return "import.meta";
  if (node.type !== "MemberExpression" || node["computed"] === true) return undefined;
  const object = memberName(node["object"]);
  const property = memberName(node["property"]);
  return object === undefined || property === undefined ? undefined : `${object}.${property}`;
}
