/** Damage to JSON that stays JSON: values replaced by odd ones, keys dropped, renamed and repeated, lists made long or deep. */
import type { Rng } from "@secateur/core";
import { oneOf } from "./mutate-bytes.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A value for the place of any other. Made anew each time: it may be changed later. */
function oddValue(rng: Rng): Json {
  const values: readonly (() => Json)[] = [
    () => null,
    () => true,
    () => -1,
    () => 0,
    () => 1.5,
    () => 1e300,
    () => 2 ** 53,
    () => 4_294_967_296,
    () => "",
    () => "\u001b[31m\n",
    () => "..",
    () => "__proto__",
    () => "constructor",
    () => "x".repeat(10_000),
    () => [],
    () => ({}),
    () => ({ toString: 1, length: -1 }),
    () => Array.from({ length: 1000 }, () => 1),
    () => nested(rng.integer(500)),
  ];
  return oneOf(rng, values)();
}

function nested(depth: number): Json {
  let value: Json = 0;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

/** The text of a copy with one to three changes; one time in ten the text itself is changed too, so that keys repeat or numbers are spelled oddly. */
export function mutateJson(rng: Rng, value: unknown): string {
  const changes = 1 + rng.integer(3);
  let root = structuredClone(value) as Json;
  for (let i = 0; i < changes; i++) root = changedOnce(rng, root);
  const text = JSON.stringify(root);
  return rng.next() < 0.1 ? oddlySpelled(rng, text) : text;
}

/** Every place in a value: what holds it, and under which key. At most 500. */
function placesIn(root: Json): [holder: Json[] | { [key: string]: Json }, key: string | number][] {
  const places: [Json[] | { [key: string]: Json }, string | number][] = [];
  const open: Json[] = [root];
  while (open.length > 0 && places.length < 500) {
    const value = open.pop()!;
    if (Array.isArray(value)) {
      for (const [i, item] of value.slice(0, 50).entries()) {
        places.push([value, i]);
        open.push(item);
      }
    } else if (value !== null && typeof value === "object") {
      for (const [key, item] of Object.entries(value)) {
        places.push([value, key]);
        open.push(item);
      }
    }
  }
  return places;
}

function changedOnce(rng: Rng, root: Json): Json {
  const places = placesIn(root);
  if (places.length === 0 || rng.next() < 0.02) return oddValue(rng);
  const [holder, key] = oneOf(rng, places);
  const value = Reflect.get(holder, key) as Json;
  switch (rng.integer(5)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[String(key)];
      break;
    case 1:
      if (Array.isArray(holder)) holder.push(value);
      else
        Object.defineProperty(holder, oneOf(rng, ["\u001b]0;x", "__proto__", `${key}_`, "", "a".repeat(5000)]), {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        });
      break;
    case 2:
      Reflect.set(holder, key, typeof value === "number" ? value + oneOf(rng, [-1, 1, 0.5, 2 ** 31]) : oddValue(rng));
      break;
    case 3: {
      const [other, otherKey] = oneOf(rng, places);
      Reflect.set(holder, key, structuredClone(Reflect.get(other, otherKey) as Json));
      break;
    }
    default:
      Reflect.set(holder, key, oddValue(rng));
  }
  return root;
}

function oddlySpelled(rng: Rng, text: string): string {
  return oneOf(rng, [
    () => text.replace(/:(\d+)/, ":-0"),
    () => text.replace(/(\d+)([,\]}])/, "$1.0$2"),
    () => text.replace(/\{("[^"]*":)/, "{$1null,$1"),
    () => text.replace(/:\d+/, `:${"[".repeat(100_000)}${"]".repeat(100_000)}`),
    () => text.slice(0, rng.integer(text.length)),
    () => text.replace(/"/, "'"),
    () => ` ${text} `,
    () => `\ufeff${text}`,
  ])();
}
