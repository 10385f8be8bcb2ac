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
    const texts = ["redis://me:secret@host", "redis://:secret@host", "http://me:secret@host", "redis://me:secret@"];
    const odd = [
      "redis://me:/secret@host",
      "redis://me:p@secret@host",
      "redis:me:secret@host",
      "redis://me:50%secret@host",
    ];
    const more = ["postgres://host/db?user=me&password=secret", "me:secret@host", "postgres://me:secret@host"];
    for (const text of [...texts, ...odd, ...more]) {
      let said: string;
      try {
        said = parseQueueAddress(text).shown;
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_QUEUE" });
        said = `${String(error)} ${JSON.stringify((error as { details: unknown }).details)}`;
      }
      expect(said).not.toContain("secret");
    }
    expect(parseQueueAddress("redis://me:secret@host:7/2?name=n").shown).toBe("redis://me:***@host:7/2?name=n");
  });

  test.each(["", "redis", "http://host", "redis://", "redis://host/name", "postgres://host", "redis://host?name=a:b"])(
    "is refused where it is none: '%s'",
    (text) => {
      expect(() => parseQueueAddress(text)).toThrow(expect.objectContaining({ code: "ERR_QUEUE" }));
    },
  );
});
