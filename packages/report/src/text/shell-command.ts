/** A command line as one would type it: arguments with special characters in single quotes. */
export function shellCommand(name: string, argv: readonly string[]): string {
  return [name, ...argv]
    .map((part) => (/^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", "'\\''")}'`))
    .join(" ");
}
