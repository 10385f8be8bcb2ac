/** Paragraphs at most `width` characters wide, default 100; lines that are indented (formulas) stay as they are. */
export function wrapText(text: string, width = 100): string {
  return text
    .split("\n")
    .map((line) => (/^\s/.test(line) ? line : wrapLine(line, width)))
    .join("\n");
}

function wrapLine(line: string, width: number): string {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    if (current !== "" && current.length + 1 + word.length > width) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
  }
  return [...lines, current].join("\n");
}
