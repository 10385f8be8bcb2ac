import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { sourceAliases } from "./tools/entry-points.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const inside = (parent: string) =>
  readdirSync(`${root}${parent}`).map((name) => ({ name, root: `${root}${parent}/${name}` }));

const projects = [...inside("packages"), ...inside("apps"), { name: "tools", root: `${root}tools` }];

export default defineConfig({
  resolve: {
    // Tests read every first-party package from its sources, so no build is between an edit and a test run.
    alias: sourceAliases(),
  },
  test: {
    // CI machines and busy laptops are many times slower than an idle one; a test that hangs still ends.
    testTimeout: 60_000,
    // Files of one worker share what they import: loading everything anew for each took as long as the tests themselves.
    // So no file may leave anything changed behind; what is spied on or stubbed comes back by itself.
    isolate: false,
    // By default one processor is left free, which on two leaves half of the machine idle.
    maxWorkers: "100%",
    restoreMocks: true,
    unstubGlobals: true,
    reporters: ["default", "./tools/tally-reporter.ts"],
    projects: projects.map((project) => ({
      extends: true,
      test: { ...project, include: ["**/*.test.ts"], exclude: ["**/node_modules/**", "**/dist/**"] },
    })),
  },
});
