/** Files of other makers: PyTorch checkpoints and CIFAR batches, and what is said about them. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeNpy, encodeSafetensors } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, refused, temporaryFolder } from "./testing.test-support.ts";

/**
 * By torch 1.13.1: torch.save({'epoch': 3, 'optimizer': SGD(...).state_dict(), 'state_dict': OrderedDict([
 * ('module.fc1.weight', torch.eye(2))])}, FILE, _use_new_zipfile_serialization=False)
 */
const CHECKPOINT =
  "gAKKCmz8nEb5IGqoUBkugAJN6QMugAJ9cQAoWBAAAABwcm90b2NvbF92ZXJzaW9ucQFN6QNYDQAAAGxpdHRsZV9lbmRpYW5xAohYCgAAAHR5cGVfc2l6ZXNxA31xBChYBQAAAHNob3J0cQVLAlgDAAAAaW50cQZLBFgEAAAAbG9uZ3EHSwR1dS6AAn1xAChYBQAAAGVwb2NocQFLA1gJAAAAb3B0aW1pemVycQJ9cQMoWAUAAABzdGF0ZXEEfXEFWAwAAABwYXJhbV9ncm91cHNxBl1xB31xCChYAgAAAGxycQlHP7mZmZmZmZpYCAAAAG1vbWVudHVtcQpLAFgJAAAAZGFtcGVuaW5ncQtLAFgMAAAAd2VpZ2h0X2RlY2F5cQxLAFgIAAAAbmVzdGVyb3ZxDYlYCAAAAG1heGltaXplcQ6JWAcAAABmb3JlYWNocQ9OWA4AAABkaWZmZXJlbnRpYWJsZXEQiVgGAAAAcGFyYW1zcRFdcRJLAGF1YXVYCgAAAHN0YXRlX2RpY3RxE2Njb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxFClScRVYEQAAAG1vZHVsZS5mYzEud2VpZ2h0cRZjdG9yY2guX3V0aWxzCl9yZWJ1aWxkX3RlbnNvcl92MgpxFygoWAcAAABzdG9yYWdlcRhjdG9yY2gKRmxvYXRTdG9yYWdlCnEZWAkAAAA1ODY3Mjg1NzZxGlgDAAAAY3B1cRtLBE50cRxRSwBLAksChnEdSwJLAYZxHoloFClScR90cSBScSFzdS6AAl1xAFgJAAAANTg2NzI4NTc2cQFhLgQAAAAAAAAAAACAPwAAAAAAAAAAAACAPw==";

/** A folder with the checkpoint and two examples that the identity matrix gets right. */
async function pytorchTask(): Promise<{ folder: string; model: string; data: string }> {
  const folder = await temporaryFolder();
  const model = join(folder, "net.pth.tar");
  await writeFile(model, Buffer.from(CHECKPOINT, "base64"));
  await writeFile(join(folder, "X.npy"), encodeNpy({ shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) }));
  await writeFile(join(folder, "Y.npy"), encodeNpy({ shape: [2], data: Float32Array.of(0, 1) }));
  return { folder, model, data: `npy:${join(folder, "X.npy")},${join(folder, "Y.npy")}` };
}

describe("a PyTorch checkpoint", () => {
  test("is evaluated, and what was left out of it is said on stderr", async () => {
    const { model, data } = await pytorchTask();
    const { code, stdout, stderr } = await call(["eval", model, "--arch", "mlp:2-2:nobias", "--data", data, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ accuracy: 100, examples: 2 });
    expect(stderr).toBe(
      `${model}: the tensors are those of 'state_dict'; not read: 'optimizer'\n${model}: dropped 'module.' from every name\n`,
    );
  });

  test("is inspected, with the same note in the document", async () => {
    const { model } = await pytorchTask();
    const { stdout } = await call(["inspect", model, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      format: "pytorch-pickle",
      tensors: [{ name: "fc1.weight", shape: [2, 2], dtype: "f32", size: 4, zeros: 2 }],
      notes: ["the tensors are those of 'state_dict'; not read: 'optimizer'", "dropped 'module.' from every name"],
    });
    expect((await call(["inspect", model])).stdout).toContain("not read: 'optimizer'\n");
  });

  test("is pruned into safetensors under its name without all its endings", async () => {
    const { folder, model, data } = await pytorchTask();
    const args = ["--arch", "mlp:2-2:nobias", "--data", data, "--solver", "magnitude", "--sparsity", "0.5"];
    expect((await call(["prune", model, ...args])).code).toBe(0);
    expect((await readFile(join(folder, "net.magnitude-0.5.safetensors"))).length).toBeGreaterThan(16);
  });

  test("that would run a program is refused", async () => {
    const { folder, data } = await pytorchTask();
    const evil = join(folder, "evil.pt");
    const bytes = Buffer.from(CHECKPOINT, "base64");
    // Of the same length as the class it replaces, so that the file stays whole.
    const found = bytes.indexOf("collections\nOrderedDict");
    bytes.write(`posix\n${"system".padEnd(17, "_")}`, found, "latin1");
    await writeFile(evil, bytes);
    const message = await refused(["eval", evil, "--arch", "mlp:2-2:nobias", "--data", data]);
    expect(message).toMatch(
      /evil\.pt: unpickling it would run 'posix\.system_+'; nothing was run.*\[ERR_PYTORCH_UNSAFE\]/,
    );
  });
});

test("CIFAR batches that end early are used as far as they are whole, with a warning", async () => {
  const folder = await temporaryFolder();
  const data = join(folder, "cifar");
  await mkdir(data);
  await writeFile(join(data, "data_batch_1.bin"), new Uint8Array(3073));
  await writeFile(join(data, "test_batch.bin"), new Uint8Array(3073 + 5));
  const model = join(folder, "net.safetensors");
  const weight = { name: "fc1.weight", dtype: "f32", shape: [10, 3072], data: new Float32Array(30_720) } as const;
  await writeFile(model, encodeSafetensors({ tensors: [weight] }));
  const args = ["eval", model, "--arch", "mlp:3072-10:nobias", "--data", `cifar10:${data}`];
  const { code, stderr, stdout } = await call([...args, "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ examples: 1 });
  expect(stderr).toBe(
    `warning: ${data}: 1 of the 5 training files are there\n` +
      `warning: ${join(data, "test_batch.bin")}: its 3078 bytes are no whole number of records of 3073 bytes; the 1 whole records are used and the last 5 bytes are not\n`,
  );
  expect((await call([...args, "--quiet"])).stderr).toBe("");
});
