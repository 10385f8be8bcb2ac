import { expect, test } from "vitest";
import { commandList, commandNames } from "./command-list.ts";
import { buildProgram } from "./program.ts";
import { call } from "./testing.test-support.ts";

test("--help lists every command and the exit codes, on stdout", async () => {
  const { code, stdout, stderr } = await call(["--help"]);
  expect(code).toBe(0);
  expect(stderr).toBe("");
  for (const name of commandNames) expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
  expect(stdout).toContain("130 interrupted");
});

test("-h is --help", async () => {
  for (const words of [[], ["eval"]]) {
    const short = await call([...words, "-h"]);
    expect(short).toEqual(await call([...words, "--help"]));
    expect(short.code).toBe(0);
  }
});

test("--version prints the version of the package", async () => {
  const { code, stdout } = await call(["--version"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
});

test("no command at all prints the help on stderr and is bad usage", async () => {
  const { code, stdout, stderr } = await call([]);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain("Usage: secateur");
});

for (const name of commandNames) {
  test(`${name} --help gives an example or explains itself`, async () => {
    const { code, stdout } = await call([name, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Example|Installed plugins/);
  });
}

test.each(commandList)(
  "the line of $name in the help of the program says how the command is called",
  async ({ name, usage, summary }) => {
    const terminal = {
      stdout: process.stdout,
      stderr: process.stderr,
      cwd: process.cwd(),
      signal: new AbortController().signal,
    };
    const built = (await buildProgram([name, "--help"], terminal)).commands.find((command) => command.name() === name)!;
    expect([built.usage(), built.summary()]).toEqual([usage, summary]);
  },
);

test("the help of a command can be asked for by 'help' too", async () => {
  const asked = await call(["help", "prune", "--solver", "magnitude"]);
  const flagged = await call(["prune", "--solver", "magnitude", "--help"]);
  expect(asked).toEqual(flagged);
});

test("an unknown command is refused with the nearest one", async () => {
  const { code, stderr } = await call(["prun"]);
  expect(code).toBe(2);
  expect(stderr).toBe("secateur: unknown command 'prun'; did you mean 'prune'? see 'secateur --help' [ERR_USAGE]\n");
});

test("an option of another method is said to be that one's", async () => {
  const argv = ["prune", "net.safetensors", "--data", "mnist", "--solver", "chita"];
  expect((await call([...argv, "--window", "3"])).stderr).toMatch(/unknown option '--window'.*an option of cbs/);
  expect((await call([...argv, "--windw", "3"])).stderr).toMatch(
    /unknown option '--windw'.*did you mean 'window' of cbs/,
  );
});

test("an unknown flag is refused with the nearest one", async () => {
  const { code, stderr } = await call(["eval", "net.safetensors", "--dat", "mnist"]);
  expect(code).toBe(2);
  expect(stderr).toContain("did you mean '--data'?");
});

test("a missing argument is named", async () => {
  const { code, stderr } = await call(["inspect"]);
  expect(code).toBe(2);
  expect(stderr).toContain("missing required argument 'model'");
});

test("a flag without its value is named, also where it chooses the solver", async () => {
  const { code, stderr } = await call(["prune", "net.safetensors", "--solver"]);
  expect(code).toBe(2);
  expect(stderr).toContain("'--solver <name>' argument missing");
});

test("a solver's options are flags of its own help only", async () => {
  const chita = await call(["prune", "--help"]);
  expect(chita.stdout).toMatch(/Options of the solver chita .*:\n(.*\n)*? +--max-rows <n>/);
  const magnitude = await call(["prune", "--solver", "magnitude", "--help"]);
  expect(magnitude.stdout).not.toContain("--max-rows");
  const refused = await call(["prune", "net.safetensors", "--solver", "magnitude", "--max-rows", "9"]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("unknown option '--max-rows'");
});

test("a switch with a value is refused with the flag to write instead", async () => {
  const argv = ["prune", "net.safetensors", "--data", "mnist"];
  const { code, stderr } = await call([...argv, "--first-order=false"]);
  expect(code).toBe(2);
  expect(stderr).toContain("--first-order takes no value, found 'false'; write --no-first-order [ERR_USAGE]");
  expect((await call([...argv, "--line-search=true"])).stderr).toContain("write --line-search [");
  expect((await call([...argv, "--json=false"])).stderr).toContain(
    "--json takes no value, found 'false'; write --json [",
  );
});

test("'help' of an unknown command, and 'version', are answered with what to type", async () => {
  const help = await call(["help", "prun"]);
  expect(help.code).toBe(2);
  expect(help.stderr).toMatch(/no command 'prun'; known: prune, .*did you mean 'prune'\?.*ERR_UNKNOWN_NAME/);
  const version = await call(["version"]);
  expect(version.code).toBe(2);
  expect(version.stderr).toMatch(/write secateur --version/);
});

test("too many arguments are counted in our words", async () => {
  const { code, stderr } = await call(["inspect", "a", "b"]);
  expect(code).toBe(2);
  expect(stderr).toBe("secateur inspect: found 2 arguments, allowed is 1; see 'secateur inspect --help' [ERR_USAGE]\n");
});

test.each([
  ["--", "plugins"],
  ["--", "explain", "chita"],
  ["help", "--", "plugins"],
])("a command behind '--' is carried out as one that comes first: %s %s", async (...argv) => {
  const { code, stdout } = await call(argv);
  expect([code, stdout]).toEqual([0, (await call(argv.filter((word) => word !== "--"))).stdout]);
  expect(stdout).not.toBe("");
});
