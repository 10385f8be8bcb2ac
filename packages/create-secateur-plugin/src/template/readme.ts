import type { PluginKind, PluginSpec } from "../plugin-files.ts";

const flags: Readonly<Record<PluginKind, (name: string) => string>> = {
  saliency: (name) => `--solver ${name}`,
  selector: (name) => `--selector ${name} --updater bso`,
  updater: (name) => `--selector magnitude --updater ${name}`,
  solver: (name) => `--solver ${name}`,
};

/** README.md: how to use it, how to work on it, how to publish it. */
export function readme({ name, kind }: PluginSpec): string {
  const { typed, packageName, identifier, method } = name;
  return `# ${packageName}

A ${kind} for [Secateur](https://github.com/secateur/secateur). Say here what it does and where it comes from.

## Use

\`\`\`sh
npm install secateur ${packageName}
npx secateur explain ${typed}
npx secateur prune model.safetensors --arch mlpnet --data mnist --sparsity 0.9 ${flags[kind](typed)}
\`\`\`

In code it is a function like any other: \`import { ${identifier} } from "${packageName}"\`.

## Work on it

\`src/${method}.js\` is the method, \`src/plugin.js\` its options, \`test/conformance.test.js\` what it has to prove.

\`\`\`sh
npm install
npm test
\`\`\`

To try it in a project before it is published: \`npm install ../path/to/this/folder\` there, then the commands above.

## Publish it

\`npm publish\`. The name and the keyword \`secateur-plugin\` in package.json are what \`secateur plugins\` and
\`--solver ${typed}\` find it by. \`@secateur/core\` stays a peer dependency, so that a program has one copy of it.
`;
}
