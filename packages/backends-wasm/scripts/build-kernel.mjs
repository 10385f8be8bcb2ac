import { existsSync } from "node:fs";

if (existsSync(new URL("../assembly/index.ts", import.meta.url))) {
  throw new Error("assembly/index.ts is there, but this script does not compile it yet");
}
