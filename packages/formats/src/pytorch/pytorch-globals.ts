/** The names that PyTorch checkpoints import, and what they stand for here. Everything else is foreign. */
import type { TensorDtype } from "../dtype.ts";
import { hostilePytorch } from "../errors.ts";
import type { PickleGlobal } from "../pickle/pickle-value.ts";
import { quote } from "../text/quote.ts";

/** The element type of each typed storage class, by its name without module (torch, torch.cuda). */
export const DTYPE_OF_STORAGE: ReadonlyMap<string, TensorDtype> = new Map([
  ["FloatStorage", "f32"],
  ["DoubleStorage", "f64"],
  ["HalfStorage", "f16"],
  ["BFloat16Storage", "bf16"],
  ["LongStorage", "i64"],
  ["IntStorage", "i32"],
  ["ShortStorage", "i16"],
  ["CharStorage", "i8"],
  ["ByteStorage", "u8"],
  ["BoolStorage", "bool"],
  // Without elements of its own: counted in bytes, typed by whoever uses it.
  ["UntypedStorage", "u8"],
]);

/** Bytes an element of the storage classes whose tensors are not read, so that the older layout can step over them. */
export const BYTES_OF_OTHER_STORAGE: ReadonlyMap<string, number> = new Map([
  ["ComplexFloatStorage", 8],
  ["ComplexDoubleStorage", 16],
  ["QInt8Storage", 1],
  ["QUInt8Storage", 1],
  ["QInt32Storage", 4],
  ["QUInt4x2Storage", 1],
  ["QUInt2x4Storage", 1],
]);

/** The element type of each torch dtype that stands in a checkpoint by name. */
export const DTYPE_OF_TORCH: ReadonlyMap<string, TensorDtype> = new Map([
  ["torch.float32", "f32"],
  ["torch.float64", "f64"],
  ["torch.float16", "f16"],
  ["torch.bfloat16", "bf16"],
  ["torch.int64", "i64"],
  ["torch.int32", "i32"],
  ["torch.int16", "i16"],
  ["torch.int8", "i8"],
  ["torch.uint8", "u8"],
  ["torch.uint16", "u16"],
  ["torch.uint32", "u32"],
  ["torch.uint64", "u64"],
  ["torch.bool", "bool"],
]);

/** Modules with which a pickle runs programs or reaches the system; no checkpoint has an honest use for them. */
const HOSTILE_MODULES =
  /^(os|posix|nt|subprocess|pty|sys|runpy|shutil|socket|importlib|ctypes|commands|code|codeop|webbrowser|pip|pdb|bdb|timeit|profile|cProfile)(\.|$)/;

/** Built-in functions of the same kind. */
const HOSTILE_BUILTINS =
  /^(builtins|__builtin__|__builtins__)\.(eval|exec|execfile|compile|__import__|open|input|breakpoint)$/;

/**
 * Refuses a pickle that names what runs programs. What is read stays inert in any case; but nothing in such a file
 * deserves trust, and its owner should know.
 *
 * @throws ERR_PYTORCH_UNSAFE with the names
 */
export function refuseHostile(globals: readonly PickleGlobal[], source: string): void {
  const names = globals
    .filter(({ module, name }) => HOSTILE_MODULES.test(module) || HOSTILE_BUILTINS.test(`${module}.${name}`))
    .map(({ module, name }) => quote(`${module}.${name}`));
  if (names.length > 0) throw hostilePytorch({ source, calls: someOf([...new Set(names)]) });
}

/** The names that are neither tensors nor plain containers, each once, in order. */
export function foreignGlobals(globals: readonly PickleGlobal[]): readonly string[] {
  const names = globals.map(({ module, name }) => `${module}.${name}`);
  return [...new Set(names)].filter((name) => !isKnown(name));
}

/** At most eight of a list, and how many more there are. */
export function someOf(names: readonly string[]): readonly string[] {
  return names.length <= 8 ? names : [...names.slice(0, 8), `${names.length - 8} more`];
}

/** Tensors, and plain values that Python makes by calling their class. */
const KNOWN: readonly RegExp[] = [
  /^torch\.(_utils\._rebuild_\w+|_tensor\._rebuild_from_type\w*|Size|device|nn\.parameter\.\w+)$/,
  /^torch(\.cuda|\.storage)?\.\w+Storage$/,
  /^(collections\.(OrderedDict|defaultdict)|_codecs\.encode)$/,
  /^(builtins|__builtin__)\.(set|frozenset|dict|list|tuple|int|float|bool|str|complex|bytes|bytearray|slice|range|object)$/,
];

function isKnown(name: string): boolean {
  return DTYPE_OF_TORCH.has(name) || KNOWN.some((pattern) => pattern.test(name));
}
