/** Whether a name fits a pattern: * stands for any text, everything else for itself; the whole name fits, or the name without ".weight". */
export function matchesPattern(pattern: string, name: string): boolean {
  return fits(pattern, name) || (name.endsWith(".weight") && fits(pattern, name.slice(0, -".weight".length)));
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split("*");
  const [first = "", last = ""] = [parts[0], parts[parts.length - 1]];
  if (parts.length === 1) return name === pattern;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > name.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}
