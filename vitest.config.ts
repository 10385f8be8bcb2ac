import { readdirSync } from "node:fs";
import { defineConfig } from "vitest/config";

const root = new URL(".", import.meta.url).pathname;
const packages = readdirSync(`${root}packages`);
const projects = [
  ...packages.map((name) => ({ name, root: `${root}packages/${name}` })),
  ...readdirSync(`${root}apps`).map((name) => ({ name, root: `${root}apps/${name}` })),
  { name: "tools", root: `${root}tools` },
];

export default defineConfig({
  resolve: {
    // Tests read every first-party package from its sources, so no build is between an edit and a test run.
    alias: packages.map((name) => ({
      find: new RegExp(`^@secateur/${name}$`),
      replacement: `${root}packages/${name}/src/index.ts`,
    })),
  },
  test: {
    projects: projects.map((project) => ({
      extends: true,
      test: { ...project, include: ["**/*.test.ts"], exclude: ["**/node_modules/**", "**/dist/**"] },
    })),
  },
});
