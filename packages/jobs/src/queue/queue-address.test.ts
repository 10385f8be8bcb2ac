import { describe, expect, test } from "vitest";
import { parseQueueAddress } from "./queue-address.ts";

describe("the address of a queue", () => {
  test("says how to connect", () => {
    expect(parseQueueAddress("redis://127.0.0.1")).toEqual({
      ...{ backend: "redis", shown: "redis://127.0.0.1", name: "secateur" },
      connection: { host: "127.0.0.1", port: 6379, db: 0 },
    });
    expect(parseQueueAddress("rediss://me:p%40ss@queue.example:7000/3?name=nights")).toMatchObject({
      name: "nights",
      connection: {
        ...{ host: "queue.example", port: 7000, db: 3, username: "me", password: "p@ss" },
        tls: { servername: "queue.example" },
      },
    });
    expect(parseQueueAddress("redis://[::1]:7000").connection).toMatchObject({ host: "::1" });
    expect(parseQueueAddress("postgres://me:secret@db/jobs?name=nights")).toMatchObject({
      ...{ backend: "postgres", name: "nights" },
      connection: { connectionString: "postgres://me:secret@db/jobs" },
    });
  });

  test("is never shown with its password", () => {
    for (const text of [
      "redis://me:secret@host",
      "redis://:secret@host",
      "http://me:secret@host",
      "redis://me:secret@",
    ]) {
      try {
        expect(parseQueueAddress(text).shown).not.toContain("secret");
      } catch (error) {
        expect(String(error)).toContain(":***@");
        expect(String(error)).not.toContain("secret");
      }
    }
  });

  test.each(["", "redis", "http://host", "redis://", "redis://host/name", "postgres://host", "redis://host?name=a:b"])(
    "is refused where it is none: '%s'",
    (text) => {
      expect(() => parseQueueAddress(text)).toThrow(expect.objectContaining({ code: "ERR_QUEUE" }));
    },
  );
});
