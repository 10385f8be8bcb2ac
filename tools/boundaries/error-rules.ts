/** Errors say what they say as data too, so that no program has to read their English. */
import type { WorkspacePackage } from "./workspace-package.ts";

/** What a package's errors and the code around them do that they should not. */
export function errorViolations({ folder, sources }: Pick<WorkspacePackage, "folder" | "sources">): readonly string[] {
  return [...sources].flatMap(([file, text]) => {
    if (!file.startsWith("src/") || /\.test(-support)?\.ts$/.test(file)) return [];
    const place = `${folder}/${file}`;
    const bare = [...text.matchAll(factories)]
      .filter(([, , parameters = "", body = ""]) => hasData(parameters) && makesError(body))
      .map(([, name]) => `${place}: the error '${name}' has no details; give what its message says as data`);
    // Conformance judges messages: that they name what is wrong.
    const readers = folder.endsWith("/conformance") ? null : text.match(readsMessage);
    return [...bare, ...(readers ?? []).map((found) => `${place}: '${found}' reads a message; use a code or details`)];
  });
}

/** Functions that make errors: name, parameters, body; none goes on beyond the end of its function. */
const factories = /function (\w+)\(((?:(?!\n\}\n).)*?)\): PruneError \{\n((?:(?!\n\}\n).)*)/gs;

const readsMessage =
  /\.(?:exec|test)\(\w+\.message|\bmessage\??\.(?:match|matchAll|includes|startsWith|endsWith|indexOf|split)\(/g;

/** Whether a factory is given anything but the cause. */
function hasData(parameters: string): boolean {
  return parameters.replace(/cause\??: unknown,?/, "").trim() !== "";
}

function makesError(body: string): boolean {
  return body.includes("new PruneError(") && !/\bdetails\b/.test(body);
}
