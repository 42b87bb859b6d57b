// @vitest-environment happy-dom
import { Component, StrictMode, Suspense, act, memo, useState, version } from "react";
import type { ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Client, computed, model } from "@ankurah/client";
import type { Rows } from "@ankurah/client";
import { AnkurahProvider, useClient, useConnection, useEntity, useQuery, useSignal, useSuspenseQuery, useTransaction } from "../src/index.js";
import type { Transaction } from "../src/index.js";
import { Fake, id } from "../../client/test/fake.js";
import * as wire from "../../client/src/messages.js";
import { Page } from "./dom.js";

interface BlogPost {
  readonly id: string;
  readonly title: string;
  readonly author?: string;
}
const BlogPost = model<BlogPost>("BlogPost", "blog_post", { title: "string", author: "id" });

let page: Page;
beforeEach(async () => {
  page = await new Page().greet();
});
afterEach(() => {
  page.end(); // again
  vi.useRealTimers();
});

const rows = (...titles: string[]) => titles.map((title, k) => ({ id: id(k + 1), place: k + 1, fields: { title } }));
const opened = () => page.node.last(wire.OPEN);
const fill = (...titles: string[]) => page.hear((n) => n.update([{ query: opened().query, reset: true, synced: 1, rows: rows(...titles) }]));

function List({ text = "published = true", args = [] as unknown[] }) {
  const posts = useQuery<BlogPost>("BlogPost", text, ...(args as never[]));
  return <p>{posts.status + (posts.synced ? "!" : "") + ":" + posts.map((p) => p.title).join()}</p>;
}

test("this is the React that it is meant to be", () => {
  expect(version.startsWith(process.env.REACT!)).toBe(true);
});

test("a query renders and follows", async () => {
  await page.show(<List />);
  expect(page.text).toBe("pending:");
  expect(opened()).toMatchObject({ collection: "blog_post", text: "published = true" });
  await fill("a", "b");
  expect(page.text).toBe("ready!:a,b");
  await page.hear((n) => n.update([{ query: opened().query, gone: [id(1)] }]));
  expect(page.text).toBe("ready!:b");
});

test("the typed form names rows", async () => {
  function Authors() {
    const posts = useQuery(BlogPost, "author = ?", "ann");
    const titles: readonly string[] = posts.map((p) => p.title);
    return <p>{titles}</p>;
  }
  await page.show(<Authors />);
  expect(opened()).toMatchObject({ collection: "blog_post", args: ["ann"] });
  await fill("x");
  expect(page.text).toBe("x");
});

test("a mistake is in the result", async () => {
  await page.show(<List />);
  await page.hear((n) => n.update([{ query: 1, reset: true, code: "query", text: "unknown" }]));
  expect(page.text).toBe("error:");
});

test("rows that have not changed are not rendered again", async () => {
  let renders: string[] = [];
  const Item = memo(({ post }: { post: BlogPost }) => {
    renders.push(post.title);
    return <i>{post.title}</i>;
  });
  function Items() {
    return useQuery(BlogPost).map((p) => <Item key={p.id} post={p} />);
  }
  await page.show(<Items />);
  await fill("a", "b", "c");
  renders = [];
  await page.hear((n) => n.update([{ query: 1, rows: [{ id: id(2), fields: { title: "B" } }, { id: id(4), place: 1, fields: { title: "d" } }] }]));
  expect(page.text).toBe("daBc");
  expect(renders.sort()).toEqual(["B", "d"]);
});

test("components share a query, which closes a while after the last has left", async () => {
  vi.useFakeTimers();
  await page.show(<><List /><List /></>);
  expect(page.node.of(wire.OPEN)).toHaveLength(1);
  await fill("a");
  await page.show(<List />);
  await page.show(null);
  vi.advanceTimersByTime(2900);
  expect(page.node.of(wire.CLOSE)).toEqual([]);
  await page.show(<List />);
  expect(page.text).toBe("ready!:a"); // at once
  vi.advanceTimersByTime(10_000);
  await page.show(null);
  vi.advanceTimersByTime(3100);
  expect(page.node.of(wire.CLOSE)).toHaveLength(1);
});

test("StrictMode opens a query once and closes it once", async () => {
  vi.useFakeTimers();
  await page.show(<StrictMode><List /></StrictMode>);
  await fill("a");
  vi.advanceTimersByTime(10_000);
  expect(page.text).toBe("ready!:a");
  expect([page.node.of(wire.OPEN).length, page.node.of(wire.CLOSE).length]).toEqual([1, 0]);
  await page.show(null);
  vi.advanceTimersByTime(10_000);
  expect([page.node.of(wire.OPEN).length, page.node.of(wire.CLOSE).length]).toEqual([1, 1]);
});

test("with other arguments the rows of before stay until there are new ones", async () => {
  await page.show(<List text="title > ?" args={["a"]} />);
  await fill("b", "c");
  await page.show(<List text="title > ?" args={["x"]} />);
  expect(page.text).toBe("pending:b,c");
  expect(opened()).toMatchObject({ query: 2, args: ["x"] });
  await fill("z");
  expect(page.text).toBe("ready!:z");
  await page.show(<List text="title > ?" args={["a"]} />);
  expect(page.text).toBe("ready!:b,c"); // it is still open
});

test("rows of another model do not stay", async () => {
  function Any({ of }: { of: string }) {
    const r = useQuery(of);
    return <p>{r.status + r.length}</p>;
  }
  await page.show(<Any of="a" />);
  await fill("x");
  expect(page.text).toBe("ready1");
  await page.show(<Any of="b" />);
  expect(page.text).toBe("pending0");
});

test("rows do not stay in the place of groups", async () => {
  function Any({ text }: { text: string }) {
    const r = useQuery(BlogPost, text);
    return <p>{r.status + r.length}</p>;
  }
  await page.show(<Any text="" />);
  await fill("x");
  await page.show(<Any text="SELECT COUNT(*)" />);
  expect(page.text).toBe("pending0");
  await page.hear((n) => n.update([{ query: opened().query, reset: true, synced: 1, columns: ["COUNT(*)"], groups: [[1]] }]));
  expect(page.text).toBe("ready1");
  await page.show(<Any text="SELECT COUNT(*) WHERE title = 'x'" />);
  expect(page.text).toBe("pending1");
});

test("the result is the same object while nothing has changed", async () => {
  const seen = new Set<Rows<BlogPost>>();
  let again!: (n: number) => void;
  function Look() {
    const [n, set] = useState(0);
    again = set;
    seen.add(useQuery(BlogPost, "n = ?", n > 5 ? 1 : 0));
    return null;
  }
  await page.show(<Look />);
  await fill("a");
  for (let n = 1; n < 5; n++) await act(async () => again(n));
  expect(seen.size).toBe(2); // pending, ready
  for (let n = 6; n < 9; n++) await act(async () => again(n));
  expect(seen.size).toBe(3); // those of before, pending
});

class Boundary extends Component<{ children: ReactNode }> {
  override state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  override render() {
    return this.state.error ? <b>{this.state.error.message}</b> : this.props.children;
  }
}

function Waiting({ text = "" }) {
  return <p>{useSuspenseQuery(BlogPost, text).map((p) => p.title).join()}</p>;
}

test.each([false, true])("suspends until there are rows; strict: %s", async (strict) => {
  vi.useFakeTimers();
  const app = <Suspense fallback="wait"><Waiting /></Suspense>;
  await page.show(strict ? <StrictMode>{app}</StrictMode> : app);
  expect(page.text).toBe("wait");
  expect(page.node.of(wire.OPEN)).toHaveLength(1);
  await act(async () => vi.advanceTimersByTime(20_000)); // the node takes its time
  expect(page.node.of(wire.CLOSE)).toEqual([]);
  await fill("a", "b");
  await act(async () => vi.advanceTimersByTime(100));
  expect(page.text).toContain("a,b");
  await act(async () => vi.advanceTimersByTime(20_000));
  expect([page.node.of(wire.OPEN).length, page.node.of(wire.CLOSE).length]).toEqual([1, 0]);
});

test("a component that suspended and never mounted leaves no query open", async () => {
  vi.useFakeTimers();
  await page.show(<Suspense fallback="wait"><Waiting /></Suspense>);
  await page.show(null);
  await fill("a");
  await act(async () => vi.advanceTimersByTime(10_000));
  expect(page.node.of(wire.CLOSE)).toHaveLength(1);
});

test("an error of a suspended query goes to the boundary", async () => {
  const quiet = vi.spyOn(console, "error").mockImplementation(() => {});
  await page.show(<Boundary><Suspense fallback="wait"><Waiting /></Suspense></Boundary>);
  await page.hear((n) => n.update([{ query: 1, reset: true, code: "query", text: "unknown field" }]));
  expect(page.text).toBe("unknown field");
  quiet.mockRestore();
});

test("one entity", async () => {
  function One({ of }: { of: string | undefined }) {
    const post = useEntity(BlogPost, of);
    return <p>{post === undefined ? "loading" : post === null ? "none" : post.title}</p>;
  }
  await page.show(<One of={undefined} />);
  expect(page.text).toBe("none");
  await page.show(<One of="nonsense" />); // as in an address that somebody typed
  expect(page.text).toBe("none");
  await page.show(<One of={id(1)} />);
  expect(page.text).toBe("loading");
  expect(opened()).toMatchObject({ text: "id = ?", args: [id(1)] });
  await fill("a");
  expect(page.text).toBe("a");
  await page.hear((n) => n.update([{ query: 1, gone: [id(1)] }]));
  expect(page.text).toBe("none");
});

test("a transaction shows at once, and is taken back with its reason", async () => {
  let tx!: Transaction;
  function Edit() {
    tx = useTransaction();
    return <p>{String(tx.pending) + (tx.error?.message ?? "")}</p>;
  }
  await page.show(<><List /><Edit /></>);
  await fill("a");
  expect(page.text).toBe("ready!:afalse");
  const first = tx.transact;
  await act(async () => void tx.transact((t) => t.edit(BlogPost, id(1), { title: "spam" }))); // nobody waits for it
  expect(page.text).toBe("ready!:spamtrue");
  await page.hear((n) => n.refuse(n.last(wire.COMMIT).tx, "constraint", "no spam"));
  expect(page.text).toBe("ready!:afalseno spam");
  await act(async () => void tx.transact((t) => t.edit(BlogPost, id(1), { title: "b" })));
  await page.hear((n) => {
    n.update([{ query: 1, rows: [{ id: id(1), fields: { title: "b" } }] }]);
    n.ack(n.last(wire.COMMIT).tx);
  });
  expect(page.text).toBe("ready!:bfalse");
  expect(tx.transact).toBe(first);
});

test("the connection, and signals", async () => {
  function State() {
    const c = useConnection();
    const client = useClient();
    const [count] = useState(() => computed([client.query(BlogPost)], () => client.query(BlogPost).get().length));
    return <p>{c.status + c.connected + c.pending + c.subject + useSignal(count)}</p>;
  }
  await page.show(<State />);
  expect(page.text).toBe("opentrue0alice0");
  await fill("a");
  await page.hear((n) => n.handlers.lost("gone"));
  expect(page.text).toBe("connectingfalse0alice1");
});

test("without a provider there is a hint", () => {
  expect(() => renderToString(<List />)).toThrow("<AnkurahProvider");
});

test("a page takes over what a server rendered, without a flash or a difference", async () => {
  // The server: another client, which has fetched.
  const node = new Fake();
  const server = new Client(node.host);
  await node.greet();
  const q = server.query<BlogPost>("BlogPost", "published = true");
  q.subscribe(() => {});
  node.update([{ query: 1, reset: true, synced: 1, rows: rows("a", "b") }]);
  const initial = JSON.parse(JSON.stringify(server.dehydrate()));
  server.close();

  function Titles() {
    return <p>{useSuspenseQuery<BlogPost>("BlogPost", "published = true").map((p) => p.title).join()}</p>;
  }
  const html = "<p>a,b</p>";
  const errors = await page.hydrate(html, initial, <Titles />);
  expect(errors).toEqual([]);
  expect(page.element.innerHTML).toBe(html);
  await fill("a", "b", "c");
  expect(page.text).toBe("a,b,c");
});

test("a provider may be given a new client", async () => {
  const other = await new Page().greet();
  function App({ client }: { client: Client }) {
    return <AnkurahProvider client={client}><List /></AnkurahProvider>;
  }
  await page.show(<App client={page.client} />);
  await fill("a");
  await page.show(<App client={other.client} />);
  expect(page.text).toBe("pending:"); // nothing of what the first may see
  expect(other.node.of(wire.OPEN)).toHaveLength(1);
  await act(async () => other.node.update([{ query: 1, reset: true, rows: rows("z") }]));
  expect(page.text).toBe("ready:z");
  page.end();
  other.end();
});
