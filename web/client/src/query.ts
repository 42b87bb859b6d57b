import type { Client } from "./client.js";
import type { Value } from "./codec.js";
import type { AnkurahError } from "./errors.js";
import { errorOf } from "./errors.js";
import type { Part } from "./messages.js";
import type { Which } from "./model.js";
import { defaultsOf, nameOf } from "./model.js";
import type { Signal } from "./signal.js";
import { Source, same } from "./signal.js";

/** What there is to say of a query beside its rows. */
export interface Status {
  /** pending: nothing is known yet; error: the query has ended. */
  readonly status: "pending" | "ready" | "error";
  readonly error: AnkurahError | undefined;
  /** The rows are what a durable node says they are, apart from edits that it has not decided on. */
  readonly synced: boolean;
}

/** The rows of a query. It never changes; rows that are as before are the same objects. */
export type Rows<T> = readonly T[] & Status;

export function rowsOf<T>(list: readonly T[], { status, error, synced }: Status): Rows<T> {
  const hidden = (value: unknown) => ({ value });
  return Object.freeze(
    Object.defineProperties([...list], { status: hidden(status), error: hidden(error), synced: hidden(synced) }),
  ) as unknown as Rows<T>;
}

export const nothing: Status = { status: "pending", error: undefined, synced: false };

interface Base {
  order: string[];
  rows: Map<string, any>;
  groups: any[];
}

const none = (): Base => ({ order: [], rows: new Map(), groups: [] });

const grace = 3000; // ms that a query stays open when nobody looks at it

/** A query that follows every commit while somebody has subscribed. Make it with [Client.query]. */
export class Query<T = any> implements Signal<Rows<T>> {
  /** Settles when there are rows, or an error. */
  readonly ready: Promise<void>;
  /** The rows that came with the page, if any did. */
  readonly initial: Rows<T>;
  /** The node's number for it while it is open. */
  number = 0;

  private readonly source: Source<Rows<T>>;
  private base = none();
  private columns: string[] = [];
  private settle!: () => void;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private extra = 0; // rows that were asked for beyond LIMIT
  private shown = new Map<string, T>();

  constructor(
    private readonly client: Client,
    readonly key: string,
    readonly model: Which,
    readonly text: string,
    readonly args: readonly Uint8Array[],
    initial: readonly T[] | undefined,
  ) {
    this.ready = new Promise((settle) => (this.settle = settle));
    this.initial = rowsOf(initial ?? [], initial ? { ...nothing, status: "ready" } : nothing);
    this.source = new Source(this.initial);
    if (initial) {
      this.settle();
      for (const row of initial as any[]) {
        if (typeof row.id !== "string") {
          this.base.groups.push(row);
          continue;
        }
        this.base.order.push(row.id);
        this.base.rows.set(row.id, row);
        this.shown.set(row.id, row);
      }
    }
    this.release(); // if nobody subscribes
  }

  get = (): Rows<T> => this.source.get();

  subscribe = (f: () => void): (() => void) => {
    clearTimeout(this.timer);
    const stop = this.source.subscribe(f);
    this.client.start(this);
    return () => {
      stop();
      this.release();
    };
  };

  /** Opens the query for a while, for who is going to subscribe. */
  retain(): void {
    this.client.start(this);
    this.release();
  }

  private release(): void {
    clearTimeout(this.timer);
    if (this.source.watched) return;
    this.timer = setTimeout(() => {
      if (this.number && this.get().status === "pending") this.release(); // who waits for it may still come
      else this.client.stop(this);
    }, grace);
    (this.timer as { unref?(): void }).unref?.();
  }

  /** Makes the LIMIT of the query n rows longer. */
  loadMore(n: number): void {
    this.extra += n;
    this.client.more(this, n);
  }

  /** @internal How many rows were asked for beyond LIMIT. */
  get beyond(): number {
    return this.extra;
  }

  /** @internal Whether an entity is among what the node says. */
  has(id: string): boolean {
    return this.base.rows.has(id);
  }

  private take(part: Part): void {
    if (part.reset) this.base = { ...none(), rows: this.base.rows };
    const { order, rows } = this.base;
    const leaves = new Set(part.gone);
    for (const n of part.rows) {
      if (n.place) leaves.add(n.id);
      if (!n.fields) continue;
      const row: any = { id: n.id, ...defaultsOf(this.model) };
      for (const key in n.fields) row[nameOf(this.model, key)] = n.fields[key];
      const before = rows.get(n.id);
      rows.set(n.id, before && same(before, row) ? before : Object.freeze(row));
    }
    const stay = leaves.size ? order.filter((id) => !leaves.has(id)) : order;
    this.base.order = part.rows.some((n) => n.place) ? merge(stay, part) : stay;
    for (const id of part.gone) rows.delete(id);
    if (part.columns) [this.columns, this.base.groups] = [part.columns, []];
    for (const g of part.groups) this.base.groups.push(Object.freeze(Object.fromEntries(this.columns.map((c, k) => [c, g[k]!]))));
  }

  /** @internal Takes what the node says, and what pending edits make of it. Returns whether subscribers are to be notified. */
  show(parts: readonly Part[] = []): boolean {
    const old = this.source.get();
    let status: Status = old;
    if (parts[0]) this.take(whole(parts));
    if (parts[0]?.reset) this.forget();
    for (const p of parts) {
      status = { status: "ready", error: undefined, synced: p.synced ? p.synced === 1 : status.synced };
      if (p.code) status = { status: "error", error: errorOf(p.code, p.text), synced: false };
    }
    if (status.status === "pending") return false;
    const shown = new Map<string, T>();
    const list: T[] = [];
    for (const id of this.base.order) {
      let row = this.client.edited(id, this.base.rows.get(id), this.model);
      if (!row) continue;
      const before = this.shown.get(id);
      if (before && before !== row && same(before, row)) row = before;
      shown.set(id, row);
      list.push(row);
    }
    this.base.groups.forEach((g, k) => list.push(same(old[k], g) ? old[k]! : g));
    this.shown = shown;
    this.settle();
    if (status.status === old.status && status.error === old.error && status.synced === old.synced && list.length === old.length && list.every((r, k) => r === old[k])) return false;
    this.source.put(rowsOf(list, status));
    return true;
  }

  /** @internal Tells subscribers what show has found. */
  notify(): void {
    this.source.notify();
  }

  /** Drops rows that an update, which began anew, has not named. */
  private forget(): void {
    const there = new Set(this.base.order);
    for (const id of this.base.rows.keys()) if (!there.has(id)) this.base.rows.delete(id);
  }

  /** @internal Says that the node is not there to say more. */
  lost(): void {
    const now = this.source.get();
    if (now.synced) this.source.set(rowsOf(now, { ...statusOf(now), synced: false }));
  }

  /** @internal Ends the query. */
  fail(error: AnkurahError): void {
    this.settle();
    this.source.set(rowsOf(this.source.get(), { status: "error", error, synced: false }));
  }
}

export function statusOf({ status, error, synced }: Status): Status {
  return { status, error, synced };
}

/** The parts of an update as one: what moves in a later one is in nobody's way in an earlier one. */
function whole(parts: readonly Part[]): Part {
  if (parts.length === 1) return parts[0]!;
  return { ...parts[0]!, gone: parts.flatMap((p) => p.gone), rows: parts.flatMap((p) => p.rows), groups: parts.flatMap((p) => p.groups) };
}

/** Puts the rows with a place among those that stay. */
function merge(stay: readonly string[], part: Part): string[] {
  const out: string[] = [];
  let k = 0;
  for (const { id, place } of part.rows) {
    if (!place) continue;
    while (out.length < place - 1 && k < stay.length) out.push(stay[k++]!);
    out.push(id);
  }
  while (k < stay.length) out.push(stay[k++]!);
  return out;
}

/** A snapshot of rows as JSON can hold it. */
export function pack(v: unknown): unknown {
  if (v instanceof Date) return { $date: +v };
  if (v instanceof Uint8Array) return { $bytes: btoa(v.reduce((s, c) => s + String.fromCharCode(c), "")) };
  if (typeof v === "bigint") return { $int: String(v) };
  if (Array.isArray(v)) return v.map(pack);
  if (v && typeof v === "object") return { $: Object.entries(v).map(([k, x]) => [k, pack(x)]) };
  return v;
}

export function unpack(v: any): Value {
  if (Array.isArray(v)) return v.map(unpack);
  if (!v || typeof v !== "object") return v;
  if ("$date" in v) return new Date(v.$date);
  if ("$bytes" in v) return Uint8Array.from(atob(v.$bytes), (c) => c.charCodeAt(0));
  if ("$int" in v) return BigInt(v.$int);
  return Object.freeze(Object.fromEntries(v.$.map(([k, x]: [string, unknown]) => [k, unpack(x)])));
}
