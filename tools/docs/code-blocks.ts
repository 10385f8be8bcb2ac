/** The code in the pages of the repository, block by block. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One fenced block. */
export interface CodeBlock {
  /** "docs/chita.md, line 12" */
  readonly place: string;
  readonly file: string;
  /** "ts", "sh", ... as written after the fence; "" for none. */
  readonly language: string;
  /** What else stands there: `ts no-run`. */
  readonly marks: readonly string[];
  readonly code: string;
}

/** Every page whose code is tested: the READMEs, the pages in docs, CONTRIBUTING.md. */
export function testedPages(root: string): readonly string[] {
  const patterns = ["*.md", "docs/*.md", "packages/*/README.md", "apps/*/README.md", "examples/*/README.md"];
  return globSync(patterns, { cwd: root })
    .map((file) => file.replaceAll("\\", "/"))
    .sort();
}

/** The fenced blocks of one page. */
export function codeBlocks(root: string, file: string): readonly CodeBlock[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/^```([^\n]*)\n([\s\S]*?)^```/gm)].map(({ 1: info = "", 2: code = "", index }) => {
    const [language = "", ...marks] = info.trim().split(/\s+/);
    return { place: `${file}, line ${text.slice(0, index).split("\n").length}`, file, language, marks, code };
  });
}
