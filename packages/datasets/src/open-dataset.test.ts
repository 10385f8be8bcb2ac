import { expect, test } from "vitest";
import { dataSources, openDataset } from "./open-dataset.ts";
import { errorOf } from "./testing.test-support.ts";

test("an unknown dataset is refused with the known ones and the nearest name", async () => {
  const error = await errorOf(() => openDataset("mnits:data"));
  expect(error).toMatchObject({ code: "ERR_UNKNOWN_NAME", fault: "input" });
  expect(error.message).toBe(
    "data: there is no dataset 'mnits'; known: mnist, mnist:DIR, cifar10:DIR, cifar100:DIR, images:DIR, npy:X.npy, npy:X.npy,Y.npy, npy:Xtrain.npy,Ytrain.npy,Xtest.npy,Ytest.npy, npy:INPUT=X.npy,TARGET=Y.npy,OTHER=Z.npy, npz:FILE.npz, module:FILE.mjs, wav:DIR; did you mean 'mnist'?",
  );
  expect((await errorOf(() => openDataset("imagenet:./data"))).message).not.toContain("did you mean");
  expect((await errorOf(() => openDataset(""))).code).toBe("ERR_UNKNOWN_NAME");
});

test("names are exact: case matters and the error says so by the nearest name", async () => {
  expect((await errorOf(() => openDataset("MNIST"))).message).toContain("did you mean 'mnist'?");
});

test("mnist: without a folder is refused", async () => {
  expect(await errorOf(() => openDataset("mnist:"))).toMatchObject({ code: "ERR_DATA_SPEC" });
});

test("every source has a name of its own, and usages that begin with it", () => {
  const names = dataSources.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, usages, summary } of dataSources) {
    expect(usages.length).toBeGreaterThan(0);
    for (const usage of usages) expect(usage.split(":")[0]).toBe(name);
    expect(summary.length).toBeGreaterThan(20);
  }
});
