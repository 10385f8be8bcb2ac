import type { RunEvent } from "@secateur/core";
import { followProgress, type ProgressLine } from "@secateur/report/text";
import cliProgress from "cli-progress";

/** One line at the bottom of a terminal that follows a run. */
export interface ProgressBar {
  handle(event: RunEvent): void;
  /** Prints a line above the bar. */
  print(text: string): void;
  /** Removes the bar; it comes back with the next progress. */
  clear(): void;
}

const barWidth = 16;

/** A progress bar on a terminal. */
export function createProgressBar(stream: NodeJS.WritableStream): ProgressBar {
  const follow = followProgress(() => performance.now());
  let bar: cliProgress.SingleBar | undefined;
  let line: ProgressLine = { fraction: undefined, text: "" };
  const clear = () => {
    bar?.stop();
    bar = undefined;
  };
  return {
    handle(event) {
      const next = follow(event);
      if (!next) return;
      line = next;
      bar ??= startBar(stream, () => line);
      bar.update(line.fraction ?? 0);
    },
    print(text) {
      clear();
      stream.write(`${text}\n`);
    },
    clear,
  };
}

function startBar(stream: NodeJS.WritableStream, line: () => ProgressLine): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar({
    stream,
    format: () => drawLine(line()),
    fps: 10,
    clearOnComplete: true,
    // A hidden cursor would stay hidden after a kill.
    hideCursor: null,
    // Interrupts are ours: the default would end the process before anything is tidied up.
    gracefulExit: false,
    forceRedraw: true,
    linewrap: true,
  });
  bar.start(1, 0);
  return bar;
}

function drawLine({ fraction, text }: ProgressLine): string {
  if (fraction === undefined) return text;
  const filled = Math.round(barWidth * fraction);
  return `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${String(Math.floor(100 * fraction)).padStart(3)} %  ${text}`;
}
