#!/usr/bin/env node
/** The executable behind `npm create secateur-plugin`. */
import process from "node:process";
import { run } from "./run.ts";

process.exitCode = run(process.argv.slice(2), {
  cwd: process.cwd(),
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});
