/** Looks for a Chromium of this machine: a browser is nothing to download unasked. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome.exe", "msedge.exe"];
const places = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** How to get one, for the message when there is none. */
export const howToGetChromium: string =
  "no Chromium was found; install one (Debian and Ubuntu: apt-get install chromium; macOS: brew install --cask chromium; " +
  "anywhere: npx playwright install chromium), or name its executable in the environment variable CHROMIUM";

/** The executable, or undefined. The environment variable CHROMIUM comes first. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (env["CHROMIUM"]) return env["CHROMIUM"];
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [...folders.flatMap((folder) => names.map((name) => join(folder, name))), ...places];
  return candidates.find((path) => existsSync(path));
}
