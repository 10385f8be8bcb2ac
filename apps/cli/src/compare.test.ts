import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CompareDocument } from "@secateur/run";
import { describe, expect, test } from "vitest";
import { call, refused, smallProblem, smallTask } from "./testing.test-support.ts";

async function compared(argv: readonly string[]): Promise<CompareDocument> {
  const { code, stdout } = await call([...argv, "--json"]);
  expect(code).toBe(0);
  return JSON.parse(stdout) as CompareDocument;
}

describe("compare", () => {
  test("runs layer-wise solvers over the layers, beside methods for the whole network", async () => {
    const { model, data } = await smallTask();
    const argv = ["compare", model, "--data", data, "--solvers", "obc,magnitude", "--sparsities", "0.6"];
    const { runs, failed } = await compared(argv);
    expect(failed).toBeUndefined();
    expect(runs.map(({ solver, nonzeros }) => [solver, nonzeros])).toEqual([
      ["obc", 18],
      ["magnitude", 18],
    ]);
    expect(runs[0]!.stats["relativeError"]).toBeGreaterThan(0);
  });

  test("runs every solver at every sparsity, each from the checkpoint as it is", async () => {
    const { model, data } = await smallTask();
    const common = ["--data", data, "--examples", "30"];
    const solvers = ["magnitude", "obd", "obs", "woodfisher", "cbs", "chita"];
    const document = await compared([
      ...["compare", model, ...common, "--solvers", solvers.join(","), "--sparsities", "0.5,0.8"],
    ]);
    expect(document.runs.map(({ solver, sparsity }) => [solver, sparsity])).toEqual(
      solvers.flatMap((solver) => [
        [solver, 0.5],
        [solver, 0.8],
      ]),
    );
    expect(document.runs.every(({ nonzeros, sparsity }) => nonzeros <= (sparsity === 0.5 ? 22 : 9))).toBe(true);
    // Not what an earlier run left behind: the same numbers as alone.
    const alone = await call(["prune", model, ...common, "--solver", "cbs", "--sparsity", "0.8", "--json"]);
    const { objective, pruned } = JSON.parse(alone.stdout) as { objective: number; pruned: { accuracy: number } };
    const run = document.runs.find(({ solver, sparsity }) => solver === "cbs" && sparsity === 0.8)!;
    expect([run.objective, run.accuracy]).toEqual([objective, pruned.accuracy]);
  });

  test("keeps what is finished when a run fails, names the failed one and exits with 1", async () => {
    const { model, data } = await smallTask();
    // Two rows of gradients and no damping: OBS has no inverse, magnitude needs none.
    const argv = ["compare", model, "--data", data, "--solvers", "magnitude,woodfisher", "--sparsities", "0.5"];
    const { code, stdout, stderr } = await call([...argv, "--examples", "2", "--ridge", "0", "--json"]);
    const document = JSON.parse(stdout) as CompareDocument;
    expect(document.runs.map(({ solver }) => solver)).toEqual(["magnitude"]);
    expect(document.failed).toMatchObject([{ solver: "woodfisher", sparsity: 0.5, code: "ERR_SINGULAR" }]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/1 of 2 runs failed/)]);
  });

  test("goes on after an interrupt with the runs that are left, and ends as if there had been none", async () => {
    const { folder, model, data } = await smallTask();
    const argv = ["compare", model, "--data", data, "--solvers", "magnitude,cbs,chita", "--sparsities", "0.5,0.8"];
    const whole = await compared(argv);
    const state = join(folder, "net.compare.resume.json");
    const controller = new AbortController();
    const watch = setInterval(() => existsSync(state) && controller.abort(), 1);
    const cut = await call([...argv, "--json"], { signal: controller.signal });
    clearInterval(watch);
    expect([cut.code, cut.stderr]).toEqual([130, expect.stringMatching(/net\.compare\.resume\.json: .*--resume/)]);
    const before = JSON.parse(cut.stdout) as CompareDocument;
    expect(before.interrupted).toBe(true);
    expect(before.runs.length).toBeLessThan(6);
    // Neither left behind in silence, nor taken for another comparison.
    expect(await refused(argv)).toMatch(/interrupted run left its state.*ERR_RESUME/);
    expect(await refused([...argv, "--resume", "--seed", "1"])).toMatch(/of another comparison: .*seed.*ERR_RESUME/);
    const after = await call([...argv, "--resume", "--events", join(folder, "e.jsonl"), "--json"]);
    expect(after.code).toBe(0);
    const results = ({ runs }: CompareDocument) =>
      runs.map(({ solver, sparsity, accuracy, loss, objective }) => [solver, sparsity, accuracy, loss, objective]);
    expect(results(JSON.parse(after.stdout) as CompareDocument)).toEqual(results(whole));
    expect(await readFile(join(folder, "e.jsonl"), "utf8")).toContain(`${before.runs.length} finished runs are in `);
    expect(existsSync(state)).toBe(false);
  });

  test("refuses a state that is none", async () => {
    const { folder, model, data } = await smallTask();
    const argv = ["compare", model, "--data", data, "--solvers", "magnitude", "--sparsities", "0.5", "--resume"];
    for (const text of ["{", "null", '{"version":3,"comparison":"{}","runs":[{}]}']) {
      await writeFile(join(folder, "net.compare.resume.json"), text);
      expect(await refused(argv)).toMatch(/not the state of a comparison.*ERR_RESUME/);
    }
    await writeFile(join(folder, "net.compare.resume.json"), '{"version":2,"comparison":"{}","runs":[]}');
    expect(await refused(argv)).toMatch(/another version of secateur wrote it.*ERR_RESUME/);
  });

  test("says of which run a note is", async () => {
    const { model, data } = await smallTask();
    const argv = ["compare", model, "--data", data, "--solvers", "magnitude,cbs", "--sparsities", "0.9"];
    const { stderr } = await call(argv);
    expect(stderr).toMatch(/^warning: cbs at 0\.9: .fc1\.weight. has no weight left/m);
  });

  test("gradients that runs need alike are taken once, and change nothing", async () => {
    const { model, data } = await smallTask();
    const common = ["--data", data, "--examples", "30", "--stages", "1"];
    const solvers = ["obd", "woodfisher", "obs", "chita.bso"];
    const argv = ["compare", model, ...common, "--curvature", "empirical-fisher", "--solvers", solvers.join(",")];
    const { runs } = await compared([...argv, "--sparsities", "0.4,0.7"]);
    // Runs of one stage with the same plan for gradients: only the first of a group took its own.
    const groups = new Set(
      runs.map(({ plan }) => JSON.stringify([plan.firstOrder, plan.temperature, plan.batch, plan.ridge])),
    );
    expect(runs.filter(({ sharesGradients }) => !sharesGradients)).toHaveLength(groups.size);
    expect(runs.map(({ solver, sparsity }) => [solver, sparsity])).toEqual(
      solvers.flatMap((solver) => [0.4, 0.7].map((sparsity) => [solver, sparsity])),
    );
    for (const { solver, sparsity, objective, accuracy } of runs) {
      const flags = ["--curvature", "empirical-fisher", "--solver", solver, "--sparsity", String(sparsity), "--force"];
      const alone = JSON.parse((await call(["prune", model, ...common, ...flags, "--json"])).stdout) as {
        objective: number;
        pruned: { accuracy: number };
      };
      expect([objective, accuracy], `${solver} at ${sparsity}`).toEqual([alone.objective, alone.pruned.accuracy]);
    }
  });

  test("so are Gauss-Newton's, which remember the weights they were taken at", async () => {
    const { model, data } = await smallTask();
    const common = ["--data", data, "--examples", "30", "--stages", "1"];
    const { runs } = await compared([
      "compare",
      model,
      ...common,
      "--solvers",
      "chita,chita.iht",
      "--sparsities",
      "0.5,0.8",
      "--curvature",
      "gauss-newton",
    ]);
    expect(runs.some(({ sharesGradients }) => sharesGradients)).toBe(true);
    for (const { solver, sparsity, objective } of runs) {
      const flags = ["--curvature", "gauss-newton", "--solver", solver, "--sparsity", String(sparsity), "--force"];
      const { stdout } = await call(["prune", model, ...common, ...flags, "--json"]);
      expect((JSON.parse(stdout) as { objective: number }).objective, `${solver} at ${sparsity}`).toBe(objective);
    }
  });

  test("prints accuracies as a table, and a report has a figure of the pairs", async () => {
    const { folder, model, data } = await smallTask();
    const report = join(folder, "compare.html");
    const pairs = ["magnitude", "cbs"].flatMap((selector) =>
      ["none", "cbs"].map((updater) => `${selector}+${updater}`),
    );
    const argv = [
      "compare",
      model,
      "--data",
      data,
      "--solvers",
      pairs.join(","),
      "--sparsities",
      "0.8",
      "--examples",
      "30",
    ];
    const { code, stdout } = await call([...argv, "--report", report]);
    expect(code).toBe(0);
    for (const pair of pairs) expect(stdout).toMatch(new RegExp(`^${pair.replace("+", "\\+")} +\\d+\\.\\d\\d %$`, "m"));
    const page = await readFile(report, "utf8");
    expect(page).toContain("Selectors and updaters at 80 %");
    expect(page).toContain('id="pairs-1"');
    expect(page).toContain('id="run-times"');
    expect(await refused([...argv, "--report", report])).toContain("compare.html");
  });

  test.each([
    [["--solvers", "magnitude", "--sparsities", "0.5"], /--data is missing/],
    [["--data", "mnist", "--sparsities", "0.5"], /--solvers is missing/],
    [["--data", "mnist", "--solvers", "magnitude"], /--sparsities is missing/],
    [["--data", "mnist", "--solvers", "magnitude,magnitude", "--sparsities", "0.5"], /different names/],
    [["--data", "mnist", "--solvers", "magnitude", "--sparsities", "0.5,1"], /\[0, 1\)/],
    [["--data", "mnist", "--solvers", "magnitude", "--sparsities", "0.5,half"], /--sparsities: found 'half'/],
    [["--data", "mnist", "--solvers", "cbz", "--sparsities", "0.5"], /no solver 'cbz'.*did you mean 'cbs'/],
    [["--data", "mnist", "--solvers", "cbz+cbs", "--sparsities", "0.5"], /no selector 'cbz'.*did you mean 'cbs'/],
    [["--data", "mnist", "--solvers", "cbs+obz", "--sparsities", "0.5"], /no updater 'obz'.*did you mean 'obs'/],
  ])("refuses %j", async (flags, message) => {
    const { folder, model } = await smallTask();
    expect(await refused(["compare", model, ...flags], folder)).toMatch(message);
  });

  test("--option gives a setting to one of the methods, as prune takes it", async () => {
    const { model, data } = await smallTask();
    const common = [model, "--data", data, "--examples", "30"];
    const argv = ["compare", ...common, "--solvers", "magnitude,chita,cbs", "--sparsities", "0.6"];
    const { runs } = await compared([...argv, "--option", "chita:stages=3", "--option", "cbs:block-size=layer"]);
    expect(runs.map(({ stages }) => stages)).toEqual([1, 3, 1]);
    expect(runs[2]!.options["blockSize"]).toBe("layer");
    for (const [run, flags] of [
      [runs[1]!, ["--solver", "chita", "--option", "stages=3"]],
      [runs[2]!, ["--solver", "cbs", "--option", "blockSize=layer"]],
    ] as const) {
      const alone = await call(["prune", ...common, ...flags, "--sparsity", "0.6", "--force", "--json"]);
      expect((JSON.parse(alone.stdout) as { objective: number }).objective).toBe(run.objective);
    }
    expect(await refused([...argv, "--option", "chitta:stages=3"])).toMatch(/'chitta' is none of --solvers/);
    expect(await refused([...argv, "--option", "magnitude:ridge=1"])).toMatch(/magnitude:ridge would change nothing/);
    expect(await refused([...argv, "--option", "chita:window=1"])).toMatch(/no option 'window'.*an option of cbs/);
  });

  test("refuses settings that no solver named would read", async () => {
    const { model, data } = await smallTask();
    const argv = ["compare", model, "--data", data, "--solvers", "magnitude", "--sparsities", "0.5", "--ridge", "1"];
    expect(await refused(argv)).toContain("--ridge would change nothing");
    const others = [...argv.slice(0, -2), "--curvature-option", "x=1"];
    expect(await refused(others)).toContain("--curvature-option would change nothing");
  });
});

describe("a selector and an updater", () => {
  test.each(["none", "obs", "cbs", "bso"])("%s follows any selector", async (updater) => {
    const { folder, model, data } = await smallTask();
    for (const selector of ["magnitude", "obd", "woodfisher", "chita", "cbs"]) {
      const out = join(folder, `${selector}.safetensors`);
      const argv = ["prune", model, "--data", data, "--selector", selector, "--updater", updater, "--examples", "30"];
      const { code, stdout } = await call(
        [...argv, "--sparsity", "0.6", "--out", out, "--json"].filter((_, i) => {
          // magnitude as it is takes no gradients
          return !(selector === "magnitude" && updater === "none" && (i === 8 || i === 9));
        }),
      );
      expect(code).toBe(0);
      const { solver, nonzeros } = JSON.parse(stdout) as { solver: string; nonzeros: number };
      expect(solver).toBe(`${selector}+${updater}`);
      expect(nonzeros).toBeLessThanOrEqual(18);
    }
  });

  test("their recipe repeats them, with the options of both", async () => {
    const { folder, model, data } = await smallTask();
    const [first, again] = [join(folder, "a.safetensors"), join(folder, "b.safetensors")];
    const flags = ["--selector", "woodfisher", "--updater", "cbs", "--block-size", "layer", "--update-block-size", "7"];
    const { code } = await call(["prune", model, "--data", data, ...flags, "--examples", "30", "--out", first]);
    expect(code).toBe(0);
    const recipe = JSON.parse(await readFile(join(folder, "a.recipe.json"), "utf8")) as {
      solver: string;
      options: object;
      versions: object;
    };
    expect(recipe.solver).toBe("woodfisher+cbs");
    expect(recipe.options).toEqual({ blockSize: "layer", updateBlockSize: 7, form: "auto" });
    expect(Object.keys(recipe.versions)).toContain("@secateur/solvers-obs-cbs");
    await call(["prune", "--recipe", join(folder, "a.recipe.json"), "--out", again]);
    expect(await readFile(again)).toEqual(await readFile(first));
  });

  test("solve takes them too, and joint OBS and BSO end at the same objective", async () => {
    const { gradients, weights } = await smallProblem();
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", "--ridge", "0.1", "--json"];
    const objectives: number[] = [];
    for (const updater of ["cbs", "bso"]) {
      const { stdout } = await call([...argv, "--selector", "woodfisher", "--updater", updater]);
      objectives.push((JSON.parse(stdout) as { objective: number }).objective);
    }
    // Weights are written as f32.
    expect(Math.abs(objectives[0]! - objectives[1]!)).toBeLessThan(1e-6 * objectives[0]!);
  });

  test.each([
    [["--solver", "cbs", "--selector", "cbs"], /give one or the other/],
    [["--updater", "cbs"], /give --selector/],
    [["--selector", "cbs", "--windw", "3"], /unknown flag|--window/],
  ])("%j is refused", async (flags, message) => {
    const { folder, model, data } = await smallTask();
    expect(await refused(["prune", model, "--data", data, ...flags])).toMatch(message);
    expect(existsSync(join(folder, "net.cbs-0.9.safetensors"))).toBe(false);
  });
});
