import type { PluginSpec } from "../plugin-files.ts";
import type { PluginKind } from "../plugin-kinds.ts";
import { endingOf } from "./method.ts";

const prune = "prune model.safetensors --arch mlpnet --data mnist --sparsity 0.9";

/** A command that uses it. */
const commands: Readonly<Record<PluginKind, (name: string) => string>> = {
  saliency: (name) => `${prune} --solver ${name}`,
  selector: (name) => `${prune} --selector ${name} --updater bso`,
  updater: (name) => `${prune} --selector magnitude --updater ${name}`,
  solver: (name) => `${prune} --solver ${name}`,
  task: (name) =>
    `prune model.safetensors --data npy:inputs.npy,targets.npy --task ${name} --solver chita --sparsity 0.9`,
  "training-rule": (name) => `train --arch mlpnet --data mnist --rule ${name} --out trained.safetensors`,
  format: (name) => `convert model.safetensors --out model${endingOf(name.replace(/^.*\//, ""))}`,
};

/** README.md: how to use it, how to work on it, how to publish it. */
export function readme({ name, kind }: PluginSpec): string {
  const { typed, packageName, identifier, method } = name;
  return `# ${packageName}

A ${kind.replace("-", " ")} for [Secateur](https://github.com/secateur/secateur). Say here what it does and where it comes from.

## Use

\`\`\`sh
npm install secateur ${packageName}
npx secateur explain ${typed}
npx secateur ${commands[kind](typed)}
\`\`\`

In code it is a function like any other: \`import { ${identifier} } from "${packageName}"\`.

## Work on it

\`src/${method}.js\` is what to replace, \`src/plugin.js\` the manifest with its options, \`test/conformance.test.js\` what it has to prove.

\`\`\`sh
npm install
npm test
\`\`\`

To try it in a project before it is published: \`npm install ../path/to/this/folder\` there, then the commands above.

## Publish it

\`npm publish\`. The name and the keyword \`secateur-plugin\` in package.json are what \`secateur plugins\` and
the commands above find it by. \`@secateur/core\` stays a peer dependency, so that a program has one copy of it.
`;
}
