import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Client, ConflictError, ConstraintError, ClosedError, Created, QueryError, SchemaError, UnauthenticatedError, VersionError, computed, model } from "../src/index.js";
import type { ClientOptions, EntityId } from "../src/index.js";
import * as wire from "../src/messages.js";
import { Fake, id } from "./fake.js";

interface Post {
  readonly id: EntityId<"Post">;
  readonly title: string;
  readonly readTimes?: number;
  readonly author?: string;
  readonly madeAt?: Date;
}
const Post = model<Post>("Post", "post", { title: "string", readTimes: ["reads", "int32"], author: "id", madeAt: "time" });

let node: Fake;
let client: Client;

function make(options?: ClientOptions) {
  node = new Fake();
  client = new Client(node.host, options);
}

beforeEach(async () => {
  make();
  await node.greet();
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
});

/** For transactions whose end is none of a test's business. */
const quiet = (p: Promise<unknown>) => void p.catch(() => {});

const rows = (...titles: string[]) => titles.map((title, k) => ({ id: id(k + 1), place: k + 1, fields: { title } }));

/** A query with rows, and how often it has changed since. */
function watched(...titles: string[]) {
  const q = client.query(Post, "title > ?", "a");
  const changes = { n: 0 };
  q.subscribe(() => changes.n++);
  const query = node.last(wire.OPEN).query;
  node.update([{ query, reset: true, rows: rows(...titles), synced: 1 }]);
  changes.n = 0;
  return { q, query, changes };
}

describe("queries", () => {
  test("of a name that no model has go to the node as they are", () => {
    client.query("Unheard", "").subscribe(() => {});
    expect(node.of(wire.OPEN)).toMatchObject([{ collection: "Unheard" }]);
  });

  test("open when somebody looks, and show rows", () => {
    const q = client.query<Post>("Post", "title = ? AND reads > ?", "x", 3);
    expect(node.of(wire.OPEN)).toEqual([]);
    expect(q.get()).toEqual([]);
    expect(q.get()).toMatchObject({ status: "pending", synced: false });
    const f = vi.fn();
    q.subscribe(f);
    expect(node.of(wire.OPEN)).toMatchObject([{ collection: "post", text: "title = ? AND reads > ?", args: ["x", 3] }]);
    node.update([{ query: 1, reset: true, rows: [{ id: id(1), place: 1, fields: { title: "x", made_at: new Date(5) } }], synced: 2 }]);
    expect(f).toHaveBeenCalledTimes(1);
    expect(q.get()).toEqual([{ id: id(1), title: "x", madeAt: new Date(5) }]);
    expect(q.get()).toMatchObject({ status: "ready", synced: false });
    node.update([{ query: 1, synced: 1 }]);
    expect(q.get().synced).toBe(true);
    expect(q.get().map((p) => p.title)).toEqual(["x"]);
    expect(node.of(wire.TOOK)).toHaveLength(2);
  });

  test("the same query is the same object, another is not", () => {
    const q = client.query(Post, "title = ?", "x");
    expect(client.query(Post, "title = ?", "x")).toBe(q);
    expect(client.query(Post, "title = ?", "y")).not.toBe(q);
    expect(client.query(Post, "title = ?", "1")).not.toBe(client.query(Post, "title = ?", 1));
  });

  test("what has not changed keeps its identity", () => {
    const { q, query, changes } = watched("a", "b", "c", "d");
    const before = q.get();
    node.update([{ query, gone: [id(2)], rows: [{ id: id(4), place: 1 }, { id: id(3), fields: { title: "C" } }, { id: id(5), place: 2, fields: { title: "e" } }] }]);
    const after = q.get();
    expect(after.map((p) => p.title)).toEqual(["d", "e", "a", "C"]);
    expect(after).not.toBe(before);
    expect(after[0]).toBe(before[3]);
    expect(after[2]).toBe(before[0]);
    expect(changes.n).toBe(1);
    node.update([{ query, rows: [{ id: id(3), fields: { title: "C" } }] }]); // nothing new
    expect(q.get()).toBe(after);
    expect(changes.n).toBe(1);
  });

  test("snapshots cannot be changed", () => {
    const { q } = watched("a");
    expect(() => (q.get() as unknown as unknown[]).push(1)).toThrow(TypeError);
    expect(() => ((q.get()[0] as any).title = "z")).toThrow(TypeError);
  });

  test("an update shows when it is whole, all of it at once", () => {
    const a = watched("a", "b");
    const b = client.query(Post);
    let seen: number[] = [];
    const look = () => seen.push(a.q.get().length + b.get().length);
    b.subscribe(look);
    a.q.subscribe(look);
    node.update([{ query: a.query, gone: [id(1)] }, { query: b.number, reset: true, rows: rows("x") }], true);
    expect(seen).toEqual([]);
    client.edit(Post, id(2), { title: "in between" }).catch(() => {});
    expect([a.q.get().length, b.get().length]).toEqual([2, 0]);
    seen = [];
    node.update([{ query: b.number, rows: [{ id: id(9), place: 2, fields: { title: "y" } }] }]);
    expect(seen).toEqual([3, 3]);
    expect(node.of(wire.TOOK).length).toBe(3);
  });

  test("a mistake is a typed error, and the query has ended", async () => {
    const q = client.query(Post, "no such");
    const stop = q.subscribe(() => {});
    node.update([{ query: 1, reset: true, code: "query", text: "unknown field" }]);
    await q.ready;
    expect(q.get()).toMatchObject({ status: "error", synced: false });
    expect(q.get().error).toBeInstanceOf(QueryError);
    expect(q.get().error!.message).toBe("unknown field");
    await expect(client.fetch(Post, "no such")).rejects.toBe(q.get().error);
    stop();
  });

  test("groups keep their identity, too", () => {
    const q = client.query("post", "SELECT COUNT(*) GROUP BY author");
    q.subscribe(() => {});
    node.update([{ query: 1, reset: true, synced: 1, columns: ["author", "COUNT(*)"], groups: [["a", 1], ["b", 2]] }]);
    const before = q.get();
    expect(before).toEqual([{ author: "a", "COUNT(*)": 1 }, { author: "b", "COUNT(*)": 2 }]);
    node.update([{ query: 1, columns: ["author", "COUNT(*)"], groups: [["a", 1], ["b", 3]] }]);
    expect(q.get()[0]).toBe(before[0]);
    expect(q.get()[1]).toEqual({ author: "b", "COUNT(*)": 3 });
    node.update([{ query: 1, columns: ["author", "COUNT(*)"] }]);
    expect(q.get()).toEqual([]);
  });

  test("rows that move in a later part of an update have left before an earlier one is put in", () => {
    const { q, query } = watched("m", "s1", "s2");
    const added = (n: number, place: number) => ({ id: id(n), place, fields: { title: "n" + n } });
    node.update([{ query, rows: [added(11, 2), added(12, 3)] }], true);
    node.update([{ query, gone: [], rows: [added(13, 4), { id: id(1), place: 6 }] }]);
    expect(q.get().map((r) => r.title)).toEqual(["s1", "n11", "n12", "n13", "s2", "m"]);
  });

  test("whatever the parts are that an update comes in, it leads to the same rows", () => {
    let seed = 1;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const { q, query } = watched();
    let now: number[] = [];
    for (let round = 0; round < 300; round++) {
      // Some leave, some come, some stand elsewhere.
      const stay = now.filter(() => random(4) > 0);
      const moved = new Set(stay.filter(() => random(3) === 0));
      const next = stay.filter((n) => !moved.has(n));
      for (const n of [...moved, ...Array.from({ length: random(4) }, (_, k) => 1 + ((round * 4 + k) % 250))]) if (!next.includes(n)) next.splice(random(next.length + 1), 0, n);
      const gone = now.filter((n) => !next.includes(n)).map(id);
      const news = next.flatMap((n, k) => {
        if (!now.includes(n)) return [{ id: id(n), place: k + 1, fields: { title: String(n) } }];
        return moved.has(n) ? [{ id: id(n), place: k + 1 }] : [];
      });
      const parts: any[] = [{ query, gone, rows: [] }];
      for (const row of news) {
        if (random(3) === 0) parts.push({ query, rows: [] });
        parts.at(-1).rows.push(row);
      }
      parts.forEach((p, k) => node.update([p], k < parts.length - 1));
      now = next;
      expect(q.get().map((r) => r.title)).toEqual(now.map(String));
    }
  });

  test("a subscriber that throws keeps nothing from the others, nor from the node", () => {
    const report = vi.fn();
    vi.stubGlobal("reportError", report);
    const { q, query, changes } = watched("a");
    const wrong = new Error("of the page");
    const stop = q.subscribe(() => { throw wrong; });
    let after = 0;
    q.subscribe(() => after++);
    const took = node.of(wire.TOOK).length;
    node.update([{ query, rows: [{ id: id(1), fields: { title: "b" } }] }]);
    expect([changes.n, after, node.of(wire.TOOK).length - took]).toEqual([1, 1, 1]);
    expect(report).toHaveBeenCalledExactlyOnceWith(wrong);
    stop();
    client.onRefused(() => { throw wrong; });
    let refused = 0;
    client.onRefused(() => refused++);
    node.refuse(id(9), "denied", "no");
    quiet(client.edit(Post, id(1), { title: "x" }));
    node.refuse(node.last(wire.COMMIT).tx, "denied", "no");
    expect(refused).toBe(2);
    expect(q.get()[0]!.title).toBe("b");
    vi.unstubAllGlobals();
  });

  test("close a while after nobody looks any more", () => {
    vi.useFakeTimers();
    const { q } = watched("a");
    const stop = q.subscribe(() => {});
    stop();
    vi.advanceTimersByTime(10_000);
    expect(node.of(wire.CLOSE)).toEqual([]); // the other subscriber
    const other = client.query(Post, "other");
    other.subscribe(() => {})();
    vi.advanceTimersByTime(20_000);
    expect(node.of(wire.CLOSE)).toEqual([]); // somebody may wait for its rows
    node.update([{ query: 2, reset: true }]);
    other.subscribe(() => {})();
    vi.advanceTimersByTime(2000);
    other.subscribe(() => {})();
    vi.advanceTimersByTime(2000);
    expect(node.of(wire.CLOSE)).toEqual([]);
    vi.advanceTimersByTime(2000);
    expect(node.of(wire.CLOSE)).toMatchObject([{ query: 2 }]);
    expect(client.query(Post, "other")).not.toBe(other);
    other.subscribe(() => {}); // who held it may look again
    expect(node.last(wire.OPEN)).toMatchObject({ query: 3, text: "other" });
  });

  test("are forgotten when nobody ever looks", () => {
    vi.useFakeTimers();
    const q = client.query(Post, "abandoned");
    vi.advanceTimersByTime(5000);
    expect(client.query(Post, "abandoned")).not.toBe(q);
    expect(node.of(wire.OPEN)).toEqual([]);
  });

  test("load more, also after a reconnect", async () => {
    const { q, query } = watched("a");
    q.loadMore(5);
    q.loadMore(2);
    expect(node.of(wire.MORE)).toMatchObject([{ query, rows: 5 }, { query, rows: 2 }]);
    node.handlers.lost("");
    node.connect();
    await node.greet();
    expect(node.last(wire.MORE)).toMatchObject({ query, rows: 7 });
  });
});

describe("transactions", () => {
  const sent = () => node.last(wire.COMMIT);

  test("an edit shows at once, and is the same row when the node has it", async () => {
    const { q, query, changes } = watched("a", "b");
    const [, b] = q.get();
    const done = client.edit(Post, id(1), { title: "A", readTimes: 3 });
    const shown = q.get();
    expect(shown.map((p) => p.title)).toEqual(["A", "b"]);
    expect(shown[1]).toBe(b);
    expect(client.connection.get().pending).toBe(1);
    expect(sent().ops).toEqual([{ kind: 2, collection: "post", entity: id(1), fields: { title: "A", reads: 3 } }]);
    node.update([{ query, rows: [{ id: id(1), fields: { title: "A", reads: 3 } }] }]);
    node.ack(sent().tx);
    await done;
    expect(q.get()).toBe(shown);
    expect(changes.n).toBe(1);
    expect(client.connection.get().pending).toBe(0);
  });

  test("what somebody else edits shows beside it", () => {
    const { q, query } = watched("a");
    quiet(client.edit(Post, id(1), { title: "mine" }));
    node.update([{ query, rows: [{ id: id(1), fields: { title: "theirs", reads: 7 } }] }]);
    expect(q.get()).toEqual([{ id: id(1), title: "mine", readTimes: 7 }]);
    node.update([{ query, rows: [{ id: id(1), fields: { title: "mine", reads: 7 } }] }]);
    node.ack(sent().tx);
    expect(q.get()).toEqual([{ id: id(1), title: "mine", readTimes: 7 }]);
  });

  test("a refused one is taken back with its reason", async () => {
    const { q, changes } = watched("a", "b");
    const before = q.get();
    const heard: unknown[] = [];
    const stop = client.onRefused((e, tx) => heard.push([e, tx]));
    const done = client.transact((tx) => {
      tx.edit(Post, id(1), { title: "spam" });
      tx.delete(Post, id(2));
    });
    expect(q.get().map((p) => p.title)).toEqual(["spam"]);
    node.refuse(sent().tx, "constraint", "no spam");
    await expect(done).rejects.toThrow(ConstraintError);
    await expect(done).rejects.toMatchObject({ code: "constraint", message: "no spam" });
    expect([...q.get()]).toEqual([...before]);
    expect(q.get()[0]).toEqual(before[0]);
    expect(changes.n).toBe(2);
    expect(heard).toMatchObject([[{ code: "constraint" }, {}]]);
    stop();
  });

  test("later edits stand on earlier ones, whose refusal they outlive", () => {
    const { q } = watched("a");
    client.edit(Post, id(1), { title: "one" }).catch(() => {});
    const first = sent().tx;
    quiet(client.edit(Post, id(1), { readTimes: 2 }));
    expect(q.get()[0]).toMatchObject({ title: "one", readTimes: 2 });
    node.refuse(first, "denied", "no");
    expect(q.get()[0]).toEqual({ id: id(1), title: "a", readTimes: 2 });
  });

  test("what an edit returns takes changes until the function has returned", () => {
    const { q } = watched("a");
    let kept: { title?: string } = {};
    quiet(
      client.transact((tx) => {
        kept = tx.edit(Post, q.get()[0]!, { readTimes: 1 });
        kept.title = "b";
      }),
    );
    expect(q.get()).toEqual([{ id: id(1), title: "b", readTimes: 1 }]);
    expect(() => (kept.title = "late")).toThrow(TypeError);
    expect(sent().ops).toMatchObject([{ kind: 2, fields: { title: "b", reads: 1 } }]);
  });

  test("names stand for the models that were described, with their keys and kinds", () => {
    model("Described", "described_thing", { size: ["width", "float64"] }, { size: 7 });
    quiet(client.transact((tx) => (tx.create("Described", { size: 3 }), tx.edit("described_thing", id(3), { size: 4 }))));
    expect(sent().ops).toMatchObject([
      { collection: "described_thing", fields: { width: 3 } },
      { collection: "described_thing", fields: { width: 4 } },
    ]);
    const q = client.query("Described");
    expect(client.query("described_thing")).toBe(q);
    q.subscribe(() => {});
    node.update([{ query: node.last(wire.OPEN).query, reset: true, rows: [{ id: id(1), place: 1, fields: { width: 2 } }, { id: id(2), place: 2 }] }]);
    node.update([{ query: node.last(wire.OPEN).query, rows: [{ id: id(2), place: 2, fields: {} }] }]);
    expect(q.get()).toEqual([{ id: id(1), size: 2 }, { id: id(2), size: 7 }]);
  });

  test("a property set to null is gone", () => {
    const { q } = watched("a");
    quiet(client.edit(Post, id(1), { title: null as never, readTimes: undefined as never }));
    expect(q.get()).toEqual([{ id: id(1) }]);
    expect(sent().ops[0].fields).toEqual({ title: null });
  });

  test("an ephemeral node accepts first, and may have to take back later", async () => {
    const refused = vi.fn();
    client.onRefused(refused);
    const done = client.edit(Post, id(1), { title: "x" });
    const tx = sent().tx;
    const sure = client.transact((tx) => tx.edit(Post, id(2), { title: "y" }), { confirmed: true });
    const other = sent().tx;
    node.ack(tx, [], false);
    node.ack(other, [], false);
    await done;
    let settled = false;
    void sure.then(() => (settled = true));
    await node.settle();
    expect(settled).toBe(false);
    node.ack(other);
    await sure;
    node.refuse(tx, "denied", "no");
    expect(refused).toHaveBeenCalledTimes(1);
    node.refuse(tx, "denied", "no"); // told twice, heard once
    expect(refused).toHaveBeenCalledTimes(1);
  });

  test("a refusal of what another page made is heard, without the transaction", () => {
    const heard: unknown[] = [];
    client.onRefused((error, tx) => heard.push([error.code, error.message, tx]));
    node.refuse(id(99), "constraint", "no spam");
    expect(heard).toEqual([["constraint", "no spam", undefined]]);
  });

  test("what is created can be referred to, at once and later", async () => {
    const made = client.transact((tx) => {
      const author = tx.create("Author", { fullName: "Ann", nobody: null });
      const post = tx.create(Post, { title: "x", author: author as never });
      tx.edit(Post, post, { readTimes: 1 });
      tx.delete(Post, tx.create(Post, { title: "gone again" }));
      return { author, post };
    });
    expect(sent().ops).toEqual([
      { kind: 1, collection: "Author", fields: { full_name: "Ann" } },
      { kind: 1, collection: "post", fields: { title: "x", author: { made: 1 }, reads: 1 } },
    ]);
    const first = sent().tx;
    let author!: Created;
    const later = client.transact((tx) => {
      author = tx.create("Author", { fullName: "Ben" });
    });
    const third = client.transact((tx) => tx.edit(Post, id(9), { author: author as never }));
    expect(node.of(wire.COMMIT)).toHaveLength(2); // the third waits for the ID
    node.ack(first, [id(5), id(6)]);
    const { author: a, post } = await made;
    expect([a.id, post.id]).toEqual([id(5), id(6)]);
    node.ack(sent().tx, [id(7)]);
    await later;
    expect(sent().ops).toEqual([{ kind: 2, collection: "post", entity: id(9), fields: { author: id(7) } }]);
    node.ack(sent().tx);
    await third;
    expect(await Promise.race([client.create(Post, { title: "z" }), (node.ack(sent().tx, [id(8)]), new Promise(() => {}))])).toBe(id(8));
  });

  test("what refers to something refused is refused, too", async () => {
    let author!: Created;
    const first = client.transact((tx) => {
      author = tx.create("Author", { name: "spam" });
    });
    const second = client.transact((tx) => tx.create(Post, { title: "x", author: author as never }));
    node.refuse(sent().tx, "denied", "no");
    await expect(first).rejects.toMatchObject({ code: "denied" });
    await expect(second).rejects.toThrow(ConflictError);
  });

  test("mistakes are found here", async () => {
    await expect(client.edit(Post, id(1), { readTimes: 1.5 })).rejects.toThrow("post.readTimes: ankurah: 1.5 is not a whole number");
    await expect(client.edit(Post, "nonsense", { title: "x" })).rejects.toMatchObject({ code: "not_found" });
    await expect(client.create(Post, { title: "x".repeat(5 << 20) })).rejects.toThrow(SchemaError);
    await expect(client.transact(() => 7)).resolves.toBe(7);
    expect(() => client.transact(() => { throw new Error("mine"); })).toThrow("mine");
    let kept: any;
    quiet(client.transact((tx) => {
      kept = tx;
      tx.edit(Post, id(1), { title: "x" });
    }));
    expect(() => kept.edit(Post, id(1), {})).toThrow("the transaction is over");
    expect(node.of(wire.COMMIT)).toHaveLength(1);
  });
});

describe("connections", () => {
  test("say hello with a credential", async () => {
    client.close();
    make({ credential: "secret", appVersion: 7 });
    await node.settle();
    expect(node.sent).toEqual([{ kind: wire.HELLO, query: 1, rows: 1, credential: "secret", app: 7 }]);
    client.close();
    let n = 0;
    make({ credential: async () => "token " + ++n });
    await node.settle();
    node.connect();
    await node.settle();
    expect(node.sent.map((m) => m.credential)).toEqual(["token 1", "token 2"]);
  });

  test("their state", async () => {
    client.close();
    make();
    const states: unknown[] = [];
    client.connection.subscribe(() => states.push(client.connection.get()));
    expect(client.connection.get()).toEqual({ status: "connecting", connected: false, pending: 0, subject: "", error: undefined });
    await node.greet({ durable: false, connected: false, pending: 2, subject: "bob" });
    expect(client.connection.get()).toEqual({ status: "open", connected: false, pending: 2, subject: "bob", error: undefined });
    const same = client.connection.get();
    node.state({ durable: false, connected: false, pending: 2, subject: "bob" });
    expect(client.connection.get()).toBe(same);
    node.handlers.lost("gone");
    expect(client.connection.get()).toMatchObject({ status: "connecting", connected: false, error: { message: "gone" } });
    node.handlers.status!({ reload: true });
    expect(client.status.get()).toEqual({ reload: true });
  });

  test("what was not answered is sent again, with its ID; queries come back as they were", async () => {
    const { q, query } = watched("a", "b");
    const before = q.get();
    const one = client.edit(Post, id(1), { title: "one" });
    const tx = node.last(wire.COMMIT).tx;
    node.handlers.lost("gone");
    expect(q.get().synced).toBe(false);
    const two = client.edit(Post, id(2), { title: "two" });
    expect(q.get().map((p) => p.title)).toEqual(["one", "two"]);
    node.sent = [];
    node.connect();
    await node.settle();
    expect(node.sent.map((m) => m.kind)).toEqual([wire.HELLO]);
    await node.greet();
    expect(node.sent.map((m) => m.kind)).toEqual([wire.HELLO, wire.OPEN, wire.COMMIT, wire.COMMIT]);
    expect(node.of(wire.COMMIT)[0]!.tx).toBe(tx);
    const shown = q.get();
    node.update([{ query, reset: true, synced: 1, rows: [{ id: id(1), place: 1, fields: { title: "one" } }, { id: id(2), place: 2, fields: { title: "b" } }] }]);
    node.ack(tx);
    expect(q.get()[0]).toBe(shown[0]);
    node.update([{ query, reset: true, synced: 1, rows: [{ id: id(2), place: 1, fields: { title: "two" } }] }]);
    node.ack(node.last(wire.COMMIT).tx);
    await Promise.all([one, two]);
    expect(q.get()).toEqual([{ id: id(2), title: "two" }]);
    expect(q.get()[0]).toBe(shown[1]);
    expect(q.get()).not.toBe(before);
  });

  test("a connection that ends in the middle of an update leaves nothing of it", async () => {
    const { q, query } = watched("a", "b");
    node.update([{ query, gone: [id(1)] }], true);
    node.handlers.lost("");
    node.connect();
    await node.greet();
    node.update([{ query, reset: true, rows: rows("a", "b"), synced: 1 }]);
    expect(q.get().map((p) => p.title)).toEqual(["a", "b"]);
  });

  test.each(["overloaded", "not_ready"])("a node that says %s is asked again on the same connection", async (code) => {
    vi.useFakeTimers();
    const done = client.edit(Post, id(1), { title: "x" });
    const { tx } = node.last(wire.COMMIT);
    node.refuse(tx, code, "");
    const sent = node.of(wire.COMMIT).length;
    vi.advanceTimersByTime(900);
    expect(node.of(wire.COMMIT)).toHaveLength(sent);
    vi.advanceTimersByTime(200);
    expect(node.of(wire.COMMIT)).toHaveLength(sent + 1);
    expect(node.last(wire.COMMIT).tx).toEqual(tx);
    node.ack(tx);
    await done;
    vi.advanceTimersByTime(10_000);
    expect(node.of(wire.COMMIT)).toHaveLength(sent + 1);
  });

  test("a closing node is asked again", async () => {
    const { q, query } = watched("a");
    const done = client.edit(Post, id(1), { title: "x" });
    node.refuse(node.last(wire.COMMIT).tx, "closing", "");
    node.update([{ query, code: "closing", text: "" }]);
    expect(q.get().status).toBe("ready");
    node.bye("closing", "restarting");
    expect(client.connection.get().status).toBe("connecting");
    node.connect();
    await node.greet();
    node.ack(node.last(wire.COMMIT).tx);
    await done;
  });

  test("what cannot work ends it, and all that is asked of it", async () => {
    for (const [code, type] of [["version", VersionError], ["update", VersionError], ["unauthenticated", UnauthenticatedError]] as const) {
      client.close();
      make();
      const q = client.query(Post);
      q.subscribe(() => {});
      const done = client.edit(Post, id(1), { title: "x" });
      await node.settle();
      node.bye(code, "no");
      await expect(done).rejects.toThrow(type);
      expect(client.connection.get()).toMatchObject({ status: "failed", error: { code } });
      expect(q.get().error).toBeInstanceOf(type);
      expect(node.closed).toBe(true);
      await expect(client.edit(Post, id(1), { title: "x" })).rejects.toThrow(type);
      await expect(client.fetch(Post, "another")).rejects.toThrow(type);
    }
  });

  test("a token that has expired is asked for again", async () => {
    client.close();
    make({ credential: () => "new" });
    await node.settle();
    node.bye("unauthenticated", "expired");
    expect(client.connection.get().status).toBe("connecting");
    client.close();
    make({ credential: () => Promise.reject(new UnauthenticatedError("unauthenticated", "logged out")) });
    await node.settle();
    expect(client.connection.get()).toMatchObject({ status: "failed", error: { code: "unauthenticated", message: "logged out" } });
  });

  test("a credential that cannot be had now is asked for later, and nothing is lost", async () => {
    vi.useFakeTimers();
    client.close();
    let answers = 0;
    make({
      credential: async () => {
        if (answers++ < 2) throw new TypeError("no network");
        return "token";
      },
    });
    const done = client.edit(Post, id(1), { title: "x" });
    await node.settle();
    expect(client.connection.get()).toMatchObject({ status: "connecting", pending: 1, error: { message: "there is no credential: TypeError: no network" } });
    await vi.advanceTimersByTimeAsync(1000);
    expect([answers, node.sent.length]).toEqual([2, 0]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(node.last(wire.HELLO).credential).toBe("token");
    await node.greet();
    node.ack(node.last(wire.COMMIT).tx);
    await done;
    // Who waits for one is not asked again for a connection that is gone.
    answers = -1;
    node.handlers.lost("gone");
    node.connect();
    await node.settle();
    node.handlers.lost("gone again");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(answers).toBe(0);
  });

  test("what the node cannot read is not sent for ever", async () => {
    const done = client.edit(Post, id(1), { title: "x" });
    node.bye("malformed", "too long a name");
    await expect(done).rejects.toThrow(SchemaError);
    node.connect();
    await node.greet();
    expect(node.of(wire.COMMIT)).toHaveLength(1);
  });

  test("close ends everything", async () => {
    const { q } = watched("a");
    const done = client.edit(Post, id(1), { title: "x" });
    client.close();
    await expect(done).rejects.toThrow(ClosedError);
    expect(q.get()).toMatchObject({ status: "error", error: { code: "closing" } });
    expect(client.connection.get().status).toBe("closed");
  });

  test("a confirmation that nobody can give any more is not waited for", async () => {
    const sure = client.transact((tx) => tx.edit(Post, id(2), { title: "y" }), { confirmed: true });
    node.ack(node.last(wire.COMMIT).tx, [], false);
    node.handlers.lost("");
    await expect(sure).rejects.toThrow(ClosedError);
  });
});

test("what a server rendered is there at once in the page", async () => {
  const { query } = watched();
  node.update([{ query, reset: true, synced: 1, rows: [{ id: id(1), place: 1, fields: { title: "a", made_at: new Date(7), raw: Uint8Array.of(1, 2), n: 2n ** 60n, deep: { a: [1, null] } } }] }]);
  const groups = client.query("post", "SELECT COUNT(*)");
  groups.subscribe(() => {});
  node.update([{ query: groups.number, reset: true, columns: ["COUNT(*)"], groups: [[3]] }]);
  const json = JSON.parse(JSON.stringify(client.dehydrate()));
  const old = client.query(Post, "title > ?", "a").get();
  client.close();

  make();
  client.hydrate(json);
  const q = client.query(Post, "title > ?", "a");
  expect(q.get()).toEqual(old);
  expect(q.get()).toMatchObject({ status: "ready", synced: false });
  expect(client.query("post", "SELECT COUNT(*)").get()).toEqual([{ "COUNT(*)": 3 }]);
  const before = q.get();
  q.subscribe(() => {});
  await node.greet();
  quiet(client.edit(Post, id(1), { title: "b" }));
  expect(q.get().map((p) => p.title)).toEqual(["b"]);
  node.update([{ query: q.number, reset: true, synced: 1, rows: [{ id: id(1), place: 1, fields: { title: "a", made_at: new Date(7), raw: Uint8Array.of(1, 2), n: 2n ** 60n, deep: { a: [1, null] } } }] }]);
  node.refuse(node.last(wire.COMMIT).tx, "denied", "");
  expect(q.get()).toEqual(before);
  expect(q.initial).toBe(before);
});

test("computed signals", () => {
  const { q, query } = watched("a");
  const f = vi.fn(() => q.get().length);
  const n = computed([q], f);
  expect([n.get(), n.get()]).toEqual([1, 1]);
  expect(f).toHaveBeenCalledTimes(1);
  const heard = vi.fn();
  const stop = n.subscribe(heard);
  node.update([{ query, gone: [id(1)] }]);
  expect(heard).toHaveBeenCalledTimes(1);
  expect(n.get()).toBe(0);
  stop();
});
