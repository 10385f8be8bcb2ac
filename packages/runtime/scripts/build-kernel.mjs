// Compiles assembly/ twice, without and with relaxed SIMD, and inlines both modules as base64 into src/generated/.
// Inlined, they load in Node, in browsers and through every bundler without a loader.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = new URL("..", import.meta.url);
const builds = [
  { name: "simd", features: ["simd", "threads"] },
  { name: "relaxed-simd", features: ["simd", "threads", "relaxed-simd"] },
];

mkdirSync(new URL("src/generated/", root), { recursive: true });
for (const { name, features } of builds) {
  const binary = await compile(features);
  const base64 = Buffer.from(binary).toString("base64");
  const text = `// Made from assembly/ by scripts/build-kernel.mjs; do not edit.\n/** The "${name}" build, ${binary.length} bytes, as base64. */\nexport const wasmBase64: string =\n  "${base64}";\n/** First byte of memory that its own tables do not use. */\nexport const dataEnd = ${await dataEnd(binary)};\n`;
  writeFileSync(new URL(`src/generated/${name}.generated.ts`, root), text);
  process.stdout.write(`${name}: ${binary.length} bytes\n`);
}

async function dataEnd(binary) {
  if (!WebAssembly.validate(binary)) throw new Error("this Node does not run the kernels; build with Node 22 or later");
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const { instance } = await WebAssembly.instantiate(binary, { env: { memory } });
  return instance.exports.dataEnd();
}

async function compile(features) {
  let binary;
  const options = [
    "assembly/index.ts",
    ...["--baseDir", fileURLToPath(root), "--outFile", "kernel.wasm"],
    ...["--runtime", "stub", "--use", "abort=", "--noAssert", "-O3", "--converge"],
    // AS201 warns of usize used as u32, which is the same thing in the only memory model used here.
    ...["--disableWarning", "201"],
    // The host makes the memory, as large as the plan of the network; 65536 pages is the format's limit.
    ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
    ...["--memoryBase", "1024"],
    ...features.flatMap((feature) => ["--enable", feature]),
  ];
  const { error, stderr } = await asc.main(options, {
    writeFile: (_path, contents) => {
      if (typeof contents !== "string") binary = contents;
    },
  });
  if (error !== null || binary === undefined) {
    throw new Error(`assembly does not compile:\n${stderr.toString()}`, { cause: error });
  }
  return binary;
}
