import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Reader, Writer, decode, encode, idBytes, idText } from "../src/codec.js";
import * as wire from "../src/messages.js";
import { id } from "./fake.js";

// The frames that the tests of the Go package have written.
const golden = new Map<string, string[]>();
for (const line of readFileSync(join(import.meta.dirname, "../../../port/testdata/frames.golden"), "utf8").trim().split("\n")) {
  const [name, hex] = line.split(" ") as [string, string];
  golden.set(name, [...(golden.get(name) ?? []), hex]);
}
const hex = (b: ArrayBuffer | Uint8Array) => Buffer.from(b as Uint8Array).toString("hex");
const bodies = (name: string) => golden.get(name)!.map((h) => wire.receive(new Uint8Array(Buffer.from(h, "hex")).buffer));
const tx = new Uint8Array(16).fill(7);

// What Go writes of a value of each kind, and its kind.
const everything: [value: any, kind?: string][] = [
  [null], ["grüße"], [true], [false], [-7, "int32"], [2 ** 53, "int64"], [-(2n ** 63n)], [-2.5], [Uint8Array.of(0, 255)],
  [new Date("2026-02-03T04:05:06.789Z")], [id(9), "id"], [{ a: [1, 2.5, "x", null, true] }], [["a", ""]], [[], "list<int64>"],
];

describe("what the client writes is what Go writes", () => {
  test("hello", () => {
    // Go's sample speaks version 2, too
    expect(hex(wire.hello(new TextEncoder().encode("secret"), 3))).toBe(golden.get("hello")![0]!.replace("08011002", "08011001"));
    expect(hex(wire.hello(new Uint8Array(), 0))).toBe(golden.get("hello")![1]);
  });

  test("open, close, more", () => {
    expect(hex(wire.open(2, "Album", "", []))).toBe(golden.get("open")![1]);
    expect(hex(wire.open(300, "album", "every ?", everything.map(([v, k]) => encode(v === 2 ** 53 ? BigInt(v) : v, k))))).toBe(golden.get("open")![2]);
    expect(hex(wire.close(1))).toBe(golden.get("closeQuery")![0]);
    expect(hex(wire.more(1, 50))).toBe(golden.get("more")![0]);
  });

  test("commit", () => {
    const fields = everything.map(([v, k], n) => ({ key: "f" + n, value: encode(v === 2 ** 53 ? BigInt(v) : v, k) }));
    const ops: wire.Op[] = [
      { kind: 1, collection: "artist", fields: [{ key: "name", value: encode("Muse") }] },
      { kind: 1, collection: "album", fields: [{ key: "artist", made: 1 }] },
      { kind: 2, collection: "album", entity: idBytes(id(1))!, fields },
      { kind: 3, collection: "album", entity: idBytes(id(2))!, fields: [] },
      { kind: 4, collection: "album", entity: idBytes(id(3))!, fields: [] },
    ];
    expect(hex(wire.commit(tx, ops))).toBe(golden.get("commit")![0]);
  });

  test("took, ping, pong", () => {
    expect([wire.TOOK, wire.PING, wire.PONG].map((k) => hex(wire.frame(k)))).toEqual(["took", "ping", "pong"].map((n) => golden.get(n)![0]));
  });
});

describe("the client reads what Go writes", () => {
  test("kinds", () => {
    const kinds = { welcome: wire.WELCOME, bye: wire.BYE, update: wire.UPDATE, ack: wire.ACK, refuse: wire.REFUSE, state: wire.STATE, ping: wire.PING };
    for (const [name, kind] of Object.entries(kinds)) for (const { kind: k } of bodies(name)) expect(k).toBe(kind);
  });

  test("bye, refuse, ack, state", () => {
    expect(bodies("bye").map((b) => wire.readBye(b.body))).toEqual([{ code: "version", text: "no common version" }, { code: "closing", text: "" }]);
    expect(wire.readRefuse(bodies("refuse")[0]!.body)).toEqual({ tx: id(7), code: "denied", text: "no" });
    expect(bodies("ack").map((b) => wire.readAck(b.body))).toEqual([
      { tx: id(7), created: [id(1), id(2)], confirmed: true },
      { tx: id(7), created: [], confirmed: false },
    ]);
    expect(bodies("state").map((b) => wire.readState(b.body))).toEqual([
      { durable: true, connected: true, pending: 3, subject: "alice", system: id(8) },
      { durable: false, connected: false, pending: 0, subject: "", system: "" },
    ]);
  });

  test("update", () => {
    const [empty, full, values] = bodies("update").map((b) => wire.readUpdate(b.body));
    expect(empty).toEqual({ parts: [], follows: false });
    const none = { reset: false, gone: [], rows: [], synced: 0, code: "", text: "", groups: [] };
    expect(full).toEqual({
      follows: true,
      parts: [
        { ...none, query: 1, reset: true, synced: 2, rows: [{ id: id(1), place: 1, fields: { name: "a", year: 1990 } }, { id: id(2), place: 2, fields: {} }] },
        { ...none, query: 2, gone: [id(3), id(4)], synced: 1, rows: [{ id: id(5), place: 300 }, { id: id(6), place: 0, fields: {} }] },
        { ...none, query: 3, code: "query", text: "unknown field" },
        { ...none, query: 4, columns: ["artist", "COUNT(*)"], groups: [[id(1), 3], [null, 1]] },
        { ...none, query: 5, columns: ["COUNT(*)"] },
      ],
    });
    const row = values!.parts[0]!.rows[0]!.fields!;
    // 2^53 is not safe as a number: it comes as a bigint
    expect(Object.values(row)).toEqual(everything.slice(1).map(([v]) => (v === 2 ** 53 ? 2n ** 53n : v)));
  });
});

test("numbers of every size", () => {
  for (const n of [0, 1, -1, 63, -64, 64, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 48, 2 ** 49, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    expect(decode(encode(n))).toBe(n);
    expect(decode(encode(BigInt(n)))).toBe(n);
  }
  for (const n of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) expect(decode(encode(n))).toBe(n);
  for (const n of [0.1, -1e300, Infinity, NaN]) expect(decode(encode(n))).toBe(n);
  for (const n of [0, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 40]) {
    const r = new Reader(new Writer().uint(1, n, true).done());
    r.next();
    expect(r.uint()).toBe(n);
  }
});

test("IDs", () => {
  const b = crypto.getRandomValues(new Uint8Array(16));
  expect(idBytes(idText(b))).toEqual(b);
  expect(idText(new Uint8Array(16).fill(255))).toBe("7" + "Z".repeat(25));
  for (const bad of ["", "8" + "0".repeat(25), "0".repeat(25) + "U", "0".repeat(27)]) expect(idBytes(bad)).toBeUndefined();
});

test("values that do not fit their kind", () => {
  const wrong: [any, string][] = [["x", "int32"], [1.5, "int64"], [1, "string"], ["no", "id"], [5, "time"], [new Date(NaN), "time"], ["x", "list<string>"], [1, "bool"], ["", "float64"], ["", "bytes"]];
  for (const [v, kind] of wrong) expect(() => encode(v, kind), kind).toThrow(/^ankurah: /);
});

test("annotations are passed over, what is cut off is an error", () => {
  const w = new Writer().text(1, "closing").uint(1000, 5).text(1001, "later").double(1002, 1);
  expect(wire.readBye(new Reader(w.done()))).toEqual({ code: "closing", text: "" });
  expect(() => wire.readBye(new Reader(Uint8Array.of(10, 200)))).toThrow(RangeError);
  expect(() => new Reader(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255)).uint()).toThrow(RangeError);
});
