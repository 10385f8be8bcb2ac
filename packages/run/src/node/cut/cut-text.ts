import { formatBytes, formatCount, formatFraction, formatTable, plainText } from "@secateur/report/text";
import type { CutDocument } from "./run-cut.ts";

/** Operators that are named one by one. */
const shown = 5;

/** What `secateur cut` prints for people. */
export function cutText(document: CutDocument): string {
  const { out, bytes, groups, cut, parameters, flops, difference, frozen } = document;
  const row = (what: string, { before, after }: CutDocument["flops"]): readonly string[] => [
    what,
    formatCount(before),
    formatCount(after),
    formatFraction(before === 0 ? 1 : after / before),
  ];
  const right = { align: "right" } as const;
  const table = formatTable(
    [{ title: "" }, { title: "before", ...right }, { title: "after", ...right }, { title: "left", ...right }],
    [row("parameters", parameters), row("operations", flops)],
  );
  const kept = frozen
    .slice(0, shown)
    .map(
      ({ by, channels }) =>
        `${formatCount(channels)} ${channels === 1 ? "place" : "places"} along axes of tensors stay because of ${plainText(by)}\n`,
    );
  const more = frozen.length > shown ? [`and more of ${frozen.length - shown} others\n`] : [];
  const checked = `the outputs are the same on random inputs (to ${difference === 0 ? "the last bit" : difference.toExponential(0)})\n`;
  const groupsText = `${formatCount(cut)} of ${formatCount(groups)} groups of channels are cut\n`;
  return `${[`${plainText(out)}, ${formatBytes(bytes)}\n`, groupsText, `\n${table}\n`, ...kept, ...more, checked].join("")}`;
}
