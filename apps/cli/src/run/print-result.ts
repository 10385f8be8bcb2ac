import type { Terminal } from "../terminal.ts";

/** Prints a command's result on stdout: the document with --json, else the text unless --quiet. */
export function printResult(spec: {
  terminal: Terminal;
  flags: { readonly json?: boolean; readonly quiet?: boolean };
  document: object;
  text: () => string;
}): void {
  const { terminal, flags, document, text } = spec;
  if (flags.json) terminal.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else if (!flags.quiet) terminal.stdout.write(text());
}
