// Compiles assembly/ and inlines the module as base64 into src/generated/: so it loads in Node, in browsers and through
// every bundler without a loader.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = new URL("..", import.meta.url);
mkdirSync(new URL("src/generated/", root), { recursive: true });
const binary = await compile();
const base64 = Buffer.from(binary).toString("base64");
const text = `// Made from assembly/ by scripts/build-kernel.mjs; do not edit.\n/** The gradient kernels, ${binary.length} bytes, as base64. */\nexport const wasmBase64: string =\n  "${base64}";\n`;
writeFileSync(new URL("src/generated/gradient-kernels.generated.ts", root), text);
process.stdout.write(`gradient-kernels: ${binary.length} bytes\n`);

async function compile() {
  let binary;
  const options = [
    "assembly/index.ts",
    ...["--baseDir", fileURLToPath(root), "--outFile", "kernel.wasm"],
    ...["--runtime", "stub", "--use", "abort=", "--noAssert", "-O3", "--converge"],
    // AS201 warns of usize used as u32, which is the same thing in the only memory model used here.
    ...["--disableWarning", "201"],
    ...["--enable", "simd", "--enable", "bulk-memory"],
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
