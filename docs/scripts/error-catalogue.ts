/** Reads every error that the sources can throw out of the code itself, so that the page of error codes misses none. */
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import ts from "typescript";

/** One place that makes an error. */
export interface KnownError {
  /** "ERR_..." */
  readonly code: string;
  /** Package it comes from, "@secateur/core". */
  readonly packageName: string;
  /** What the factory's docstring says; "" where there is none. */
  readonly meaning: string;
  /** The message, with … where the case at hand is filled in. */
  readonly message: string;
  /** "runtime": exit code 1; "input": exit code 2. */
  readonly fault: "input" | "runtime";
}

/** Every error of the workspace at `root`: those made with a code, and codes that stand in texts on their way out. */
export function errorCatalogue(root: string): readonly KnownError[] {
  const files = globSync(["packages/*/src/**/*.ts", "apps/*/src/**/*.ts"], { cwd: root })
    .filter((file) => !/\.(test|test-support|d)\.ts$|[/\\]generated[/\\]/.test(file))
    .sort();
  return files.flatMap((file) => errorsOf(join(root, file), packageName(root, file)));
}

function packageName(root: string, file: string): string {
  const folder = file.split(/[/\\]/).slice(0, 2).join("/");
  return (JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as { name: string }).name;
}

/** The errors of one source file. */
export function errorsOf(path: string, packageName: string, text = readFileSync(path, "utf8")): readonly KnownError[] {
  const source = ts.createSourceFile(basename(path), text, ts.ScriptTarget.Latest, true);
  const found: KnownError[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && isCoded(node)) found.push(...made(node, packageName));
    else ts.forEachChild(node, visit);
  };
  visit(source);
  // "[ERR_STDOUT]" in a text that is printed: an error with a code that no PruneError carries.
  const printed = new Set([...text.matchAll(/\[(ERR_[A-Z_]+)\]/g)].map(([, code]) => code!));
  for (const code of printed) {
    const line = text.split("\n").find((one) => one.includes(`[${code}]`)) ?? "";
    const message = plain(/[`"](.*)[`"]/.exec(line)?.[1] ?? "").replace(`[${code}]`, "");
    found.push({ code, packageName, meaning: "", message: message.replace(/\\n/g, "").trim(), fault: "input" });
  }
  return found;
}

/** PruneErrors, and the errors of packages that stand outside core but give a code first all the same. */
function isCoded(node: ts.NewExpression): boolean {
  const name = node.expression.getText();
  const first = node.arguments?.[0]?.getText() ?? "";
  return name === "PruneError" || (name.endsWith("Error") && /"ERR_[A-Z_]+"/.test(first));
}

function made(node: ts.NewExpression, packageName: string): readonly KnownError[] {
  const [code, message, options] = node.arguments ?? [];
  if (!code || !message) return [];
  const maker = enclosingFunction(node);
  const fault = options?.getText().includes('"runtime"') ? "runtime" : "input";
  const codes = new Set([...code.getText().matchAll(/ERR_[A-Z_]+/g)].map(([name]) => name));
  // A code that comes as an argument is named where the file calls the function.
  if (codes.size === 0) {
    const all = node.getSourceFile().text.matchAll(/"(ERR_[A-Z_]+)"/g);
    for (const [, name] of all) codes.add(name!);
  }
  return [...codes].map((name) => ({
    ...{ code: name, packageName, fault },
    meaning: maker ? docstring(maker) : "",
    message: messageText(message),
  }));
}

function enclosingFunction(node: ts.Node): ts.Node | undefined {
  for (let at: ts.Node | undefined = node; at; at = at.parent) if (ts.isFunctionDeclaration(at)) return at;
  return undefined;
}

function docstring(node: ts.Node): string {
  const [comment] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  return ts.getTextOfJSDocComment(comment?.comment)?.replace(/\s+/g, " ").trim() ?? "";
}

/** A message as its readers see it: what is computed becomes an ellipsis. */
function messageText(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join("");
  }
  if (ts.isBinaryExpression(node)) return messageText(node.left) + messageText(node.right);
  if (ts.isParenthesizedExpression(node)) return messageText(node.expression);
  return "…";
}

function plain(text: string): string {
  return text.replace(/\$\{[^}]*\}/g, "…");
}
