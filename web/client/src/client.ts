import type { Value } from "./codec.js";
import { encode, idText } from "./codec.js";
import { AnkurahError, ClosedError, UnauthenticatedError, errorOf } from "./errors.js";
import type { Host } from "./host.js";
import * as wire from "./messages.js";
import type { Entity, IdOf, InputOf, Key, Model, Models, PatchOf, Row, RowOf, Selected, TextKey, Which } from "./model.js";
import { collectionOf } from "./model.js";
import { Query, pack, unpack } from "./query.js";
import type { Rows } from "./query.js";
import type { Signal } from "./signal.js";
import { Source, call } from "./signal.js";
import { Created, Tx } from "./tx.js";

/** A query parameter. */
export type Arg = Value | Created;

export type Credential = string | Uint8Array;

export interface ClientOptions {
  /**
   * What the server's policy agent knows the user by; a function is asked for each connection. When it throws it is
   * asked again a while later, unless it throws an [UnauthenticatedError]: then the connection has failed.
   */
  credential?: Credential | (() => Credential | Promise<Credential>);
  /** The version of the application, which the server may refuse. */
  appVersion?: number;
}

/** How the client is connected. */
export interface Connection {
  /** connecting: to the host; open; failed: for good; closed: by close. */
  readonly status: "connecting" | "open" | "failed" | "closed";
  /** A durable node is within reach: what is committed goes there now. */
  readonly connected: boolean;
  /** Transactions that no durable node has decided on. */
  readonly pending: number;
  /** Who the page is. */
  readonly subject: string;
  /** Why it is not open. */
  readonly error: AnkurahError | undefined;
}

/** A transaction that was sent, or waits for it. */
interface Pending {
  id: string;
  tx: Tx;
  bytes: Uint8Array;
  sent: boolean;
  acked: boolean;
  confirm: boolean; // the promise waits for a durable node
  resolve(): void;
  reject(e: AnkurahError): void;
}

/** What [Client.dehydrate] returns: plain JSON. */
export type Snapshot = Record<string, unknown>;

const fatal = ["unauthenticated", "version", "update", "principal"];
const maxTransaction = 4 << 20;
const again = 1000; // ms until a transaction is sent again that the node had no room for

/** A page's end of a connection to a node: live queries and transactions. */
export class Client {
  private readonly state = new Source<Connection>({ status: "connecting", connected: false, pending: 0, subject: "", error: undefined });
  private readonly queries = new Map<string, Query>();
  private readonly opened = new Map<number, Query>();
  private readonly refusals = new Set<(e: AnkurahError, tx?: Tx) => void>();
  private readonly own = new Set<string>(); // refused transactions of this page
  private pending: Pending[] = [];
  private snapshot: Snapshot = {};
  private node: wire.State | undefined;
  private port: { send(frame: ArrayBuffer): void } | undefined;
  private welcome = false;
  private number = 0;
  private parts: wire.Part[] = [];
  private readonly host: { close(): void };

  constructor(
    host: Host,
    private readonly options: ClientOptions = {},
  ) {
    this.host = host({
      open: (port) => void this.greet(port),
      frame: (data) => this.frame(data),
      lost: (reason) => this.lost(new ClosedError("closing", reason)),
      status: (message) => this.status.set(message),
    });
  }

  /** How the client is connected. */
  get connection(): Signal<Connection> {
    return this.state;
  }

  /** What the host said last that was no frame. */
  readonly status = new Source<unknown>(undefined);

  /** Ends the connection, and with it every query and what was not committed. */
  close(): void {
    this.end("closed", new ClosedError("closing", "the client is closed"));
  }

  /**
   * Calls f for each transaction that is refused, also after its promise was settled; without tx for one that was made
   * before this page was opened.
   */
  onRefused(f: (error: AnkurahError, tx?: Tx) => void): () => void {
    this.refusals.add(f);
    return () => this.refusals.delete(f);
  }

  // Queries.

  /**
   * A live query: rows of a model that an AnkQL text selects. args stand for ? in it. The same query is the same
   * object. It is open while somebody has subscribed.
   */
  query<W extends Model<any, any>, const Q extends string>(model: W, text?: Q, ...args: readonly Arg[]): Query<Selected<RowOf<W>, Q>>;
  query<N extends keyof Models, const Q extends string>(name: N, text?: Q, ...args: readonly Arg[]): Query<Selected<Models[N], Q>>;
  query<T = Row>(name: string, text?: string, ...args: readonly Arg[]): Query<T>;
  query(model: Which, text = "", ...args: readonly Arg[]): Query {
    const encoded = args.map((a) => argument(a));
    const key = keyOf(model, text, encoded);
    let q = this.queries.get(key);
    if (!q) {
      const rows = this.snapshot[key];
      q = new Query(this, key, model, text, encoded, rows ? (unpack(rows) as any) : undefined);
      this.queries.set(key, q);
    }
    return q;
  }

  /** A live query of one entity. */
  entity<W extends Model<any, any>>(model: W, id: Key<W>): Query<RowOf<W>>;
  entity<N extends keyof Models>(name: N, id: Key<N>): Query<Models[N]>;
  entity<T = Row>(name: string, id: TextKey<T>): Query<T>;
  entity(model: Which, id: string): Query<any> {
    return this.query(model as string, "id = ?", id);
  }

  /** The rows of a query, once. */
  async fetch<W extends Model<any, any>, const Q extends string>(model: W, text?: Q, ...args: readonly Arg[]): Promise<Rows<Selected<RowOf<W>, Q>>>;
  async fetch<N extends keyof Models, const Q extends string>(name: N, text?: Q, ...args: readonly Arg[]): Promise<Rows<Selected<Models[N], Q>>>;
  async fetch<T = Row>(name: string, text?: string, ...args: readonly Arg[]): Promise<Rows<T>>;
  async fetch(model: Which, text?: string, ...args: readonly Arg[]): Promise<Rows<any>> {
    const q = this.query(model as string, text, ...args);
    const stop = q.subscribe(() => {});
    try {
      await q.ready;
      const rows = q.get();
      if (rows.error) throw rows.error;
      return rows;
    } finally {
      stop();
    }
  }

  // Transactions.

  /**
   * Makes changes, all or none. Edits and deletions show at once; they are taken back if they are refused, and the
   * promise rejects with the reason. It settles when the node has committed, or with confirmed set when a durable
   * node has. f runs at once and only once.
   */
  transact<R>(f: (tx: Tx) => R, { confirmed = false } = {}): Promise<R> {
    const tx = new Tx();
    const result = f(tx);
    tx.end();
    if (tx.ops.length === 0) return Promise.resolve(result);
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const promise = new Promise<R>((resolve, reject) => {
      this.pending.push({ id: idText(bytes), tx, bytes, sent: false, acked: false, confirm: confirmed, resolve: () => resolve(result), reject });
    });
    if (this.refusals.size) promise.catch(() => {}); // somebody else hears of it
    if (this.state.get().error && this.state.get().status !== "connecting") this.refuse(this.pending.at(-1)!, this.state.get().error!);
    this.flush();
    this.repaint(tx);
    return promise;
  }

  /** Creates an entity and returns its ID when it is committed. */
  async create<W extends Which>(model: W, input: InputOf<W>): Promise<IdOf<W>> {
    return (await this.transact((tx) => tx.create(model, input))).id;
  }

  /** Edits an entity. */
  edit<W extends Which>(model: W, entity: Entity<W>, changes: PatchOf<W>): Promise<void> {
    return this.transact((tx) => void tx.edit(model, entity, changes));
  }

  /** Deletes an entity. */
  delete<W extends Which>(model: W, entity: Entity<W>): Promise<void> {
    return this.transact((tx) => tx.delete(model, entity));
  }

  /** Brings a deleted entity back. */
  restore<W extends Which>(model: W, entity: Entity<W>): Promise<void> {
    return this.transact((tx) => tx.restore(model, entity));
  }

  // Rendering on a server.

  /** The rows of all queries that have some, as JSON, for [Client.hydrate] in the page. */
  dehydrate(): Snapshot {
    const out: Snapshot = {};
    for (const [key, q] of this.queries) {
      const rows = q.get();
      if (rows.status === "ready") out[key] = pack(rows);
    }
    return out;
  }

  /** Takes what the server rendered with, for queries that are not made yet. */
  hydrate(snapshot: Snapshot): void {
    this.snapshot = { ...this.snapshot, ...snapshot };
  }

  // What queries need.

  /** @internal */
  start(q: Query): void {
    if (q.number) return;
    if (this.ended) return q.fail(this.state.get().error!);
    if (!this.queries.has(q.key)) this.queries.set(q.key, q);
    q.number = ++this.number;
    this.opened.set(q.number, q);
    this.open(q);
  }

  /** @internal */
  stop(q: Query): void {
    if (q.number) this.send(wire.close(q.number));
    this.opened.delete(q.number);
    q.number = 0;
    q.lost();
    if (this.queries.get(q.key) === q) this.queries.delete(q.key);
  }

  /** @internal */
  more(q: Query, rows: number): void {
    if (q.number) this.send(wire.more(q.number, rows));
  }

  /** @internal A row with the pending edits; undefined when they delete it. */
  edited(id: string, row: any, model: Which): any {
    for (const p of this.pending) if (!p.acked) row = p.tx.edited(id, row, model);
    return row;
  }

  // The connection.

  private get ended(): boolean {
    const { status } = this.state.get();
    return status === "failed" || status === "closed";
  }

  private async greet(port: { send(frame: ArrayBuffer): void }): Promise<void> {
    this.port = port;
    this.welcome = false;
    const { credential, appVersion = 0 } = this.options;
    for (let wait = 1000; this.port === port; wait = Math.min(2 * wait, 30_000)) {
      try {
        const c = (typeof credential === "function" ? await credential() : credential) ?? "";
        if (this.port === port) port.send(wire.hello(typeof c === "string" ? new TextEncoder().encode(c) : c, appVersion));
        return;
      } catch (e) {
        if (this.port !== port) return;
        if (e instanceof UnauthenticatedError) return this.end("failed", e);
        this.tell(errorOf("unauthenticated", `there is no credential: ${e}`));
      }
      await new Promise((over) => setTimeout(over, wait));
    }
  }

  private send(frame: ArrayBuffer): void {
    if (this.welcome) this.port?.send(frame);
  }

  private open(q: Query): void {
    this.send(wire.open(q.number, collectionOf(q.model), q.text, q.args));
    if (q.beyond) this.more(q, q.beyond);
  }

  private frame(data: ArrayBuffer): void {
    const { kind, body } = wire.receive(data);
    switch (kind) {
      case wire.PING:
        this.port?.send(wire.frame(wire.PONG));
        break;
      case wire.WELCOME:
        this.welcome = true;
        for (const q of this.opened.values()) this.open(q);
        for (const p of this.pending) p.sent = false;
        this.flush();
        break;
      case wire.STATE:
        this.node = wire.readState(body);
        this.tell();
        break;
      case wire.UPDATE: {
        const { parts, follows } = wire.readUpdate(body);
        this.parts.push(...parts);
        if (!follows) this.show();
        this.send(wire.frame(wire.TOOK));
        break;
      }
      case wire.ACK:
        this.ack(wire.readAck(body));
        break;
      case wire.REFUSE: {
        const { tx, code, text } = wire.readRefuse(body);
        const p = this.pending.find((p) => p.id === tx);
        const error = errorOf(code, text);
        if (code === "closing") break; // the next welcome has it sent again
        if (code === "overloaded" || code === "not_ready") this.later(p);
        else if (p) this.refuse(p, error);
        else if (!this.own.has(tx)) for (const f of this.refusals) call(() => f(error));
        break;
      }
      case wire.BYE: {
        const { code, text } = wire.readBye(body);
        const error = errorOf(code, text);
        if (code === "malformed") for (const p of [...this.pending]) if (p.sent && !p.acked) this.refuse(p, error);
        if (fatal.includes(code) && !(code === "unauthenticated" && typeof this.options.credential === "function")) this.end("failed", error);
        else this.lost(error);
      }
    }
  }

  private show(): void {
    const parts = new Map<number, wire.Part[]>();
    for (const p of this.parts) parts.set(p.query, [...(parts.get(p.query) ?? []), p]);
    this.parts = [];
    const changed = [...parts].flatMap(([n, list]) => {
      // A query that the node ended because it ends itself is asked again.
      const told = list.filter((p) => p.code !== "closing");
      const q = this.opened.get(n);
      return q?.show(told) ? [q] : [];
    });
    for (const q of changed) q.notify();
  }

  /** Shows what a transaction changes, or changes no more. */
  private repaint(tx: Tx): void {
    const ids = tx.ops.flatMap((o) => o.id ?? []);
    const changed = [...this.opened.values()].filter((q) => ids.some((id) => q.has(id)) && q.show());
    for (const q of changed) q.notify();
    this.tell();
  }

  private ack({ tx, created, confirmed }: ReturnType<typeof wire.readAck>): void {
    const p = this.pending.find((p) => p.id === tx);
    if (!p) return;
    if (!p.acked) {
      p.acked = true;
      p.tx.made(created);
      if (!p.confirm) p.resolve();
      this.repaint(p.tx);
    }
    if (confirmed) {
      this.drop(p);
      p.resolve();
    }
    this.flush();
  }

  private drop(p: Pending): void {
    this.pending = this.pending.filter((o) => o !== p);
    this.tell();
  }

  private refuse(p: Pending, error: AnkurahError): void {
    this.drop(p);
    this.own.add(p.id);
    p.tx.refused = true;
    p.reject(error);
    for (const f of this.refusals) call(() => f(error, p.tx));
    this.repaint(p.tx);
    this.flush();
  }

  /** Sends a transaction again in a while; that it arrives twice is all the same to the node. */
  private later(p: Pending | undefined): void {
    if (!p) return;
    const timer = setTimeout(() => {
      p.sent = false;
      this.flush();
    }, again);
    (timer as { unref?(): void }).unref?.();
  }

  /** Sends what can be sent, in order. */
  private flush(): void {
    if (!this.welcome) return;
    for (const p of this.pending) {
      if (p.sent || p.acked) continue;
      let ops: wire.Op[] | undefined;
      try {
        ops = p.tx.encode();
      } catch (e) {
        return this.refuse(p, e instanceof AnkurahError ? e : errorOf("schema", (e as Error).message));
      }
      if (!ops) return; // it refers to what an earlier one creates
      const frame = wire.commit(p.bytes, ops);
      if (frame.byteLength > maxTransaction) return this.refuse(p, errorOf("too_large", "the transaction is larger than 4 MiB"));
      p.sent = true;
      this.send(frame);
    }
  }

  private lost(error: AnkurahError): void {
    if (this.ended) return;
    this.port = undefined;
    this.welcome = false;
    this.parts = [];
    this.node = this.node && { ...this.node, connected: false };
    for (const p of this.pending.filter((p) => p.acked)) {
      this.drop(p);
      p.reject(new ClosedError("closing", "the connection ended before a durable node had decided; the node goes on with it"));
    }
    for (const q of this.opened.values()) q.lost();
    this.tell(error);
  }

  private end(status: "failed" | "closed", error: AnkurahError): void {
    if (this.ended) return;
    this.lost(error);
    this.state.set({ ...this.state.get(), status, error });
    this.host.close();
    for (const q of this.opened.values()) {
      q.number = 0;
      q.fail(error);
    }
    this.opened.clear();
    for (const p of [...this.pending]) this.refuse(p, error);
  }

  /** Says how the client is connected. */
  private tell(error?: AnkurahError): void {
    const old = this.state.get();
    if (this.ended) return;
    const open = this.welcome && this.node;
    const now: Connection = {
      status: open ? "open" : "connecting",
      connected: !!open && open.connected,
      pending: this.pending.filter((p) => !p.acked).length + (this.node?.pending ?? 0),
      subject: this.node?.subject ?? "",
      error: open ? undefined : (error ?? old.error),
    };
    if ((Object.keys(now) as (keyof Connection)[]).some((k) => now[k] !== old[k])) this.state.set(now);
  }
}

function argument(a: Arg): Uint8Array {
  return a instanceof Created ? encode(a.id, "id") : encode(a);
}

function keyOf(model: Which, text: string, args: readonly Uint8Array[]): string {
  return [collectionOf(model), text, ...args.map(String)].join("\n");
}
