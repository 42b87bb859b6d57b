// @vitest-environment node
import { Writable } from "node:stream";
import { Suspense } from "react";
import { renderToPipeableStream, renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Client } from "@ankurah/client";
import { AnkurahProvider, useConnection, useEntity, useQuery, useSuspenseQuery } from "../src/index.js";
import { Fake, id } from "../../client/test/fake.js";

let node: Fake;
let client: Client;
beforeEach(async () => {
  node = new Fake();
  client = new Client(node.host);
  await node.greet();
});
afterEach(() => client.close());

function Live() {
  const posts = useQuery<{ id: string; title: string }>("post");
  const one = useEntity<{ id: string; title: string }>("post", id(1));
  return <p>{posts.status + posts.map((p) => p.title).join() + (one?.title ?? "") + useConnection().subject}</p>;
}

function Waiting() {
  return <p>{useSuspenseQuery<{ id: string; title: string }>("post").map((p) => p.title).join()}</p>;
}

const app = (children: React.ReactNode) => <AnkurahProvider client={client}>{children}</AnkurahProvider>;

async function fetched() {
  const all = [client.fetch("post"), client.fetch("post", "id = ?", id(1))];
  const rows = [{ id: id(1), place: 1, fields: { title: "a" } }];
  node.update([{ query: 1, reset: true, rows }, { query: 2, reset: true, rows }]);
  await Promise.all(all);
}

/** Renders as servers do, to the end. */
function stream(children: React.ReactNode): Promise<{ html: string; errors: string[] }> {
  return new Promise((done, fail) => {
    let html = "";
    const errors: string[] = [];
    const out = new Writable({
      write(chunk, _, next) {
        html += chunk;
        next();
      },
      final(next) {
        next();
        done({ html, errors });
      },
    });
    const { pipe } = renderToPipeableStream(app(children), { onAllReady: () => pipe(out), onShellError: fail, onError: (e) => void errors.push((e as Error).message) });
  });
}

test("what was not fetched renders as pending", () => {
  expect(renderToString(app(<Live />))).toBe("<p>pendingalice</p>");
});

test("what was fetched is there", async () => {
  await fetched();
  expect(renderToString(app(<Live />))).toBe("<p>readyaaalice</p>");
  expect((await stream(<Suspense fallback="wait"><Waiting /></Suspense>)).html).toContain("<p>a</p>");
});

test("what suspends and was not fetched never hangs: the page renders it", async () => {
  const { html, errors } = await stream(<Suspense fallback={<i>wait</i>}><Waiting /></Suspense>);
  expect(html).toContain("<i>wait</i>");
  expect(errors).toEqual(["ankurah: the query of all was not fetched before rendering: the page will"]);
});
