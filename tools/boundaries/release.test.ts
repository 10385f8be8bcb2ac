/** Every public package is part of the next release, and of the one version that all of them carry. */
import { globSync, readFileSync } from "node:fs";
import { join, matchesGlob } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readWorkspace } from "./workspace-package.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const published = readWorkspace(root).filter(({ manifest }) => !manifest.private);

test("all public packages carry one version", () => {
  const { fixed } = JSON.parse(readFileSync(join(root, ".changeset/config.json"), "utf8")) as { fixed: string[][] };
  const outside = published
    .map(({ manifest }) => manifest.name)
    .filter((name) => !fixed.some((group) => group.some((glob) => matchesGlob(name, glob))));
  expect(outside, "add these names to 'fixed' in .changeset/config.json").toEqual([]);
  const versions = new Set(published.map(({ folder }) => manifestOf(folder).version));
  expect([...versions]).toHaveLength(1);
});

/** Packages that changesets name. */
function changedPackages(): ReadonlySet<string> {
  const changesets = globSync(".changeset/*.md", { cwd: root }).map((file) => readFileSync(join(root, file), "utf8"));
  return new Set(
    changesets.flatMap((text) => [...text.matchAll(/^"([^"]+)": (?:major|minor|patch)$/gm)].map(([, name]) => name!)),
  );
}

test("changesets name packages that there are", () => {
  const known = new Set(published.map(({ manifest }) => manifest.name));
  const unknown = [...changedPackages()].filter((name) => !known.has(name));
  expect(unknown, "name packages by their package.json, or no release can be made").toEqual([]);
});

test("a package that was never released is named in a changeset", () => {
  const named = changedPackages();
  const missing = published
    .filter(({ folder, manifest }) => manifestOf(folder).version === "0.0.0" && !named.has(manifest.name))
    .map(({ manifest }) => `"${manifest.name}": minor`);
  expect(missing, "add these lines to .changeset/first-release.md").toEqual([]);
});

function manifestOf(folder: string): { version: string } {
  return JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as { version: string };
}
