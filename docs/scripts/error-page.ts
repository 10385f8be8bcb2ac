/** The page of error codes. */
import type { KnownError } from "./error-catalogue.ts";

/** Markdown with a section a code, in alphabetical order: who throws it, what it means, the messages, what the exit code is. */
export function errorPage(errors: readonly KnownError[]): string {
  const codes = [...new Set(errors.map(({ code }) => code))].sort();
  const sections = codes.map((code) =>
    section(
      code,
      errors.filter((error) => error.code === code),
    ),
  );
  return `# Error codes

Every message ends with a stable code, such as \`[ERR_SPARSITY_RANGE]\`; in code it is the \`code\` of a \`PruneError\`. A message says
where, what was found, what is allowed and what to do. Below, … stands for what a message fills in. This page is made from the
sources, so it has every code there is: ${codes.length} of them. What to do about results rather than messages stands in
[troubleshooting](../troubleshooting.md).

${sections.join("\n")}`;
}

function section(code: string, errors: readonly KnownError[]): string {
  const lines = errors.map(({ meaning, message, packageName, fault }) => {
    const what = meaning === "" ? "" : `${meaning} `;
    return `- ${what}(\`${packageName}\`, exit code ${fault === "runtime" ? 1 : 2})\n\n  > ${markdownText(message)}\n`;
  });
  return `## ${code}\n\n${[...new Set(lines)].join("\n")}`;
}

/** Text in which no character means anything to markdown. */
function markdownText(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/[\\`*_[\]#|{}]/g, "\\$&")
    .replace(/[<>&]/g, (char) => `&#${char.charCodeAt(0)};`);
}
