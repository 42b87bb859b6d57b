// Against the server written in Go, over WebSockets.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from "vitest";
import { WebSocket as Ws } from "ws";
import { Client, ConstraintError, NotFoundError, QueryError, VersionError, model, onPort, remote } from "../src/index.js";
import type { Query } from "../src/index.js";

import { Album, Artist } from "../../../internal/gen/testdata/golden/typescript/models.gen.js";
import type { AlbumInput } from "../../../internal/gen/testdata/golden/typescript/models.gen.js";

let server: ChildProcess;
let url: string;
const clients: Client[] = [];
const sockets: Ws[] = [];

class Socket extends Ws {
  constructor(url: string, protocol: string) {
    super(url, protocol);
    sockets.push(this);
  }
}

beforeAll(async () => {
  server = spawn(inject("server"), { stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface(server.stdout!)) {
    url = "ws://" + line;
    break;
  }
});
afterAll(() => server.stdin!.end());
afterEach(() => clients.splice(0).forEach((c) => c.close()));

function connect(appVersion = 2) {
  const c = new Client(remote(url, { WebSocket: Socket as never, backoff: [10, 50] }), { credential: "alice", appVersion });
  clients.push(c);
  return c;
}

async function until<T>(q: { get(): T; subscribe(f: () => void): () => void }, holds: (v: T) => boolean): Promise<T> {
  await new Promise<void>((done) => {
    const stop = q.subscribe(look);
    function look() {
      if (!holds(q.get())) return;
      setTimeout(() => stop());
      done();
    }
    look();
  });
  return q.get();
}

interface Note {
  readonly id: string;
  readonly title: string;
  readonly likes?: number;
  readonly doneAt?: Date;
  readonly tags?: readonly string[];
  readonly extra?: unknown;
  readonly raw?: Uint8Array;
  readonly parent?: string;
}
const Note = model<Note>("Note", "note", { title: "string", likes: "int64", doneAt: "time", tags: "list<string>", extra: "json", raw: "bytes", parent: "id" });

test("two clients see what each does", async () => {
  const a = connect(), b = connect();
  const mine = a.query(Note, "title LIKE ? ORDER BY title", "t1 %"), theirs = b.query(Note, "title LIKE ? ORDER BY title", "t1 %");
  await until(a.connection, (c) => c.status === "open" && c.connected && c.subject === "alice");
  await until(theirs, (r) => r.status === "ready" && r.synced);
  const values = { likes: 2 ** 40, doneAt: new Date(12345), tags: ["x", ""], extra: { z: 1, a: [1e21, "ä", null] }, raw: Uint8Array.of(0, 255) };
  const one = await a.create(Note, { title: "t1 b", ...values });
  expect(await until(theirs, (r) => r.length === 1)).toEqual([{ id: one, title: "t1 b", ...values }]);
  await until(mine, (r) => r.length === 1);
  await b.edit(Note, one, { likes: 3, title: "t1 c" });
  const { reply } = await b.transact((tx) => ({ reply: tx.create(Note, { title: "t1 a", parent: one }) }));
  expect((await until(mine, (r) => r.length === 2)).map((n) => n.title)).toEqual(["t1 a", "t1 c"]);
  expect(mine.get()[0]).toEqual({ id: reply.id, title: "t1 a", parent: one });
  expect(await a.fetch(Note, "parent = ?", one)).toHaveLength(1);
  expect(await a.fetch("note", "parent.title = ?", "t1 c").catch((e) => e)).toBeInstanceOf(QueryError); // nobody has declared it
  await a.delete(Note, one);
  await until(theirs, (r) => r.length === 1);
  await a.restore(Note, one);
  await until(theirs, (r) => r.length === 2);
  expect((await a.fetch("Note", "SELECT COUNT(*) WHERE title LIKE 't1 %'"))[0]).toEqual({ "COUNT(*)": 2 });
  const page = a.query(Note, "title LIKE 't1 %' ORDER BY title LIMIT 1");
  await until(page, (r) => r.length === 1);
  page.loadMore(1);
  await until(page, (r) => r.length === 2);
});

const zero = {
  artist: "", guests: [], year: 0, plays: 0, length: 0, live: false, tags: [], cover: new Uint8Array(),
  released: new Date("0001-01-01T00:00:00Z"), extra: null, source: "", userIds: [],
};

// The golden TypeScript and the golden Go describe the same models.
test("generated models are those of the server", async () => {
  const a = connect();
  const [goes] = await a.fetch(Album, "title = 'of Go'");
  expect(goes).toEqual({ id: goes!.id, ...zero, name: "of Go", genre: "pop", serial: 0 });
  const [old] = await a.fetch("Album", "title = 'old'");
  expect(old).toEqual({ id: old!.id, ...zero, name: "old", genre: "rock", serial: 9007199254740993n });

  const artist = await a.create("Artist", { name: "t4" });
  const input: AlbumInput = {
    name: "t4", artist, guests: [artist], year: 2001, plays: -(2n ** 60n), length: 3e9, genre: "hip hop", mood: "sad", rating: 3, live: true,
    tags: ["x"], cover: Uint8Array.of(1, 2), released: new Date(12345), boughtAt: new Date(-1), extra: { a: [1, null] }, notes: [true],
    source: artist, userIds: [artist], serial: 7,
  };
  const id = await a.create(Album, input);
  const q = connect().query("Album", "artist.name = ? AND rating > 2.5 AND plays < 0", "t4");
  expect(await until(q, (r) => r.length === 1)).toEqual([{ id, ...input }]);
  // What was read can be written, a reference to nothing too.
  const { id: _id, ...read } = goes!;
  const again = await a.create(Album, { ...read, name: "t4 again" });
  expect((await a.fetch(Album, "id = ?", again))[0]).toEqual({ ...read, id: again, name: "t4 again" });

  await a.transact((tx) => {
    const m = tx.edit(Album, q.get()[0]!);
    m.artist = tx.create(Artist, { name: "t4" });
    m.rating = null;
    m.year = 2002;
  }, { confirmed: true });
  await expect(a.create(Album, { ...input, genre: "jazz" as never })).rejects.toThrow(/genre/);
  const [edited] = await a.fetch(Album, "id = ?", id);
  const { rating: _, ...rest } = input;
  expect(edited).toEqual({ id, ...rest, year: 2002, artist: edited!.artist });
  expect(edited!.artist).not.toBe(artist);
});

test("a refused edit is taken back", async () => {
  const a = connect();
  const one = await a.create(Note, { title: "t2" });
  const q = a.entity(Note, one);
  await until(q, (r) => r.length === 1);
  const [before] = q.get();
  const done = a.edit(Note, one, { title: "spam" });
  expect(q.get()[0]!.title).toBe("spam");
  await expect(done).rejects.toThrow(ConstraintError);
  expect(q.get()[0]).toEqual(before);
  await expect(a.edit(Note, "0".repeat(25) + "1", { title: "x" })).rejects.toThrow(NotFoundError);
  await expect(a.fetch(Note, "likes = ?", "x")).rejects.toThrow(QueryError);
});

test("edits made while there is no connection arrive, once", async () => {
  const a = connect(), b = connect();
  const q = b.query(Note, "title LIKE 't3%' ORDER BY title");
  await until(q, (r) => r.status === "ready");
  await until(a.connection, (c) => c.status === "open");
  for (let k = 0; k < 10; k++) {
    const all = [a.create(Note, { title: `t3 ${k}` }), a.create(Note, { title: `t3 ${k}b` })];
    if (k % 3 === 1) await new Promise((r) => setTimeout(r, k));
    sockets.forEach((s) => s.terminate());
    all.push(a.create(Note, { title: `t3 ${k}c` }));
    await Promise.all(all);
  }
  await until(q, (r) => r.length >= 30 && r.synced);
  expect(q.get().map((n) => n.title)).toEqual(Array.from({ length: 10 }, (_, k) => [`t3 ${k}`, `t3 ${k}b`, `t3 ${k}c`]).flat());
});

test("an old page is told so", async () => {
  const old = connect(1);
  expect((await until(old.connection, (c) => c.status === "failed")).error).toBeInstanceOf(VersionError);
});

test("a silent server is left", () => {
  vi.useFakeTimers();
  const made: any[] = [];
  class Dead {
    readyState = 1;
    close = vi.fn();
    constructor() {
      made.push(this);
    }
  }
  const lost: string[] = [];
  const host = remote("ws://x", { WebSocket: Dead as never })({ open() {}, frame() {}, lost: (r) => lost.push(r) });
  made[0].onopen();
  vi.advanceTimersByTime(60_000);
  made[0].onmessage({ data: new ArrayBuffer(0) });
  vi.advanceTimersByTime(70_000);
  expect(lost).toEqual([]);
  vi.advanceTimersByTime(20_000);
  expect(lost).toEqual(["the server is silent"]);
  expect(made).toHaveLength(2);
  host.close();
  made[1].onclose({});
  vi.advanceTimersByTime(100_000);
  expect(made).toHaveLength(2);
  vi.useRealTimers();
});

test("a server that sends what cannot be read is left, and asked again", () => {
  vi.useFakeTimers();
  const made: any[] = [];
  class Odd {
    readyState = 1;
    sent: ArrayBuffer[] = [];
    send = (frame: ArrayBuffer) => this.sent.push(frame);
    close = vi.fn();
    constructor() {
      made.push(this);
    }
  }
  const client = new Client(remote("ws://x", { WebSocket: Odd as never }));
  for (const [k, data] of ["a text", new ArrayBuffer(0), Uint8Array.of(0x5a, 0x7f, 1).buffer].entries()) {
    made[k].onopen();
    made[k].onmessage({ data });
    expect(made[k].close).toHaveBeenCalledOnce();
    expect(client.connection.get().status).toBe("connecting");
    expect(client.connection.get().error?.message).toContain("the server sent what cannot be read: ");
    vi.advanceTimersByTime(20_000);
    expect(made).toHaveLength(k + 2);
  }
  client.close();
  vi.useRealTimers();
});

test("a port carries frames", () => {
  const { port1, port2 } = new MessageChannel();
  return new Promise<void>((done) => {
    port2.onmessage = ({ data }) => {
      expect(data).toBeInstanceOf(ArrayBuffer);
      c.close();
      port2.close();
      done();
    };
    const c = new Client(onPort(port1 as never));
  });
});

// Type checks: these lines have to compile, or not.
function types(c: Client) {
  const typed: Query<Note> = c.query(Note);
  const named: Query<Note> = c.query<Note>("Note", "title = ?", "x");
  // @ts-expect-error likes is a number
  void c.edit(Note, "id", { likes: "many" });
  // @ts-expect-error no such property
  void c.create(Note, { titel: "x" });
  return [typed, named];
}
void types;
