// A node as a client sees it, whose every answer a test decides. It reads what
// the client writes with a reader of its own.
import { Reader, Writer, decode, encode, idBytes, idText } from "../src/codec.js";
import type { Value } from "../src/codec.js";
import type { Handlers, Host } from "../src/host.js";
import * as wire from "../src/messages.js";

export interface Sent {
  kind: number;
  [field: string]: any;
}

export interface FakeRow {
  id: string;
  place?: number;
  fields?: Record<string, Value>;
}

export interface FakePart {
  query: number;
  reset?: boolean;
  gone?: string[];
  rows?: FakeRow[];
  synced?: number;
  code?: string;
  text?: string;
  columns?: string[];
  groups?: Value[][];
}

export class Fake {
  sent: Sent[] = [];
  handlers!: Handlers;
  closed = false;

  host: Host = (handlers) => {
    this.handlers = handlers;
    queueMicrotask(() => !this.closed && this.connect());
    return { close: () => (this.closed = true) };
  };

  connect() {
    this.handlers.open({ send: (frame) => this.sent.push(read(frame)) });
  }

  /** Lets the client do what waits for microtasks. */
  async settle() {
    for (let k = 0; k < 5; k++) await Promise.resolve();
  }

  async greet(state: Partial<wire.State> = {}) {
    await this.settle();
    this.say(wire.WELCOME, new Writer().uint(1, 1));
    this.state(state);
  }

  state({ durable = true, connected = true, pending = 0, subject = "alice", system = id(1) }: Partial<wire.State> = {}) {
    this.say(wire.STATE, new Writer().uint(1, +durable).uint(2, +connected).uint(3, pending).text(4, subject).bytes(5, idBytes(system)!));
  }

  say(kind: number, body = new Writer()) {
    this.handlers.frame(new Writer().bytes(kind, body.done(), true).done().buffer as ArrayBuffer);
  }

  update(parts: FakePart[], follows = false) {
    const w = new Writer();
    for (const p of parts) w.bytes(1, part(p));
    this.say(wire.UPDATE, w.uint(2, +follows));
  }

  ack(tx: string, created: string[] = [], confirmed = true) {
    const all = created.map((i) => [...idBytes(i)!]).flat();
    this.say(wire.ACK, new Writer().bytes(1, idBytes(tx)!).bytes(2, Uint8Array.from(all)).uint(3, +confirmed));
  }

  refuse(tx: string, code: string, text: string) {
    this.say(wire.REFUSE, new Writer().bytes(1, idBytes(tx)!).text(2, code).text(3, text));
  }

  bye(code: string, text = "") {
    this.say(wire.BYE, new Writer().text(1, code).text(2, text));
  }

  of(kind: number): Sent[] {
    return this.sent.filter((m) => m.kind === kind);
  }

  last(kind: number): Sent {
    return this.of(kind).at(-1)!;
  }
}

/** An ID for tests. */
export const id = (n: number) => idText(new Uint8Array(16).fill(n));

function part(p: FakePart): Uint8Array {
  const w = new Writer().uint(1, p.query).uint(2, +(p.reset ?? false));
  const keys = [...new Set((p.rows ?? []).flatMap((r) => Object.keys(r.fields ?? {})))];
  for (const k of keys) w.text(3, k);
  w.bytes(4, Uint8Array.from((p.gone ?? []).flatMap((i) => [...idBytes(i)!])));
  for (const r of p.rows ?? []) {
    const row = new Writer().bytes(1, idBytes(r.id)!).uint(2, r.place ?? 0).uint(3, r.fields ? 0 : 1);
    for (const [k, v] of Object.entries(r.fields ?? {})) row.bytes(4, new Writer().uint(1, keys.indexOf(k)).bytes(2, encode(v), true).done());
    w.bytes(5, row.done());
  }
  w.uint(6, p.synced ?? 0).text(7, p.code ?? "").text(8, p.text ?? "");
  for (const c of p.columns ?? []) w.text(9, c);
  for (const g of p.groups ?? []) {
    const group = new Writer();
    for (const v of g) group.bytes(1, encode(v), true);
    w.bytes(10, group.done(), true);
  }
  return w.done();
}

/** Reads a frame of a client. */
export function read(frame: ArrayBuffer): Sent {
  const { kind, body } = wire.receive(frame);
  const m: Sent = { kind };
  while (body.next()) {
    switch (`${kind}.${body.field}`) {
      case "1.3":
        m.credential = new TextDecoder().decode(body.bytes());
        break;
      case "2.2":
        m.collection = body.text();
        break;
      case "2.3":
        m.text = body.text();
        break;
      case "2.4":
        (m.args ??= []).push(value(body.bytes(), 2));
        break;
      case "5.1":
        m.tx = idText(body.bytes());
        break;
      case "5.2":
        (m.ops ??= []).push(op(body.bytes()));
        break;
      default:
        m[["", "query", "rows", "", "app"][body.field]!] = body.uint();
    }
  }
  return m;
}

function value(b: Uint8Array, field: number): Value | undefined {
  const r = new Reader(b);
  while (r.next()) if (r.field === field) return decode(r.bytes());
  return undefined;
}

function op(b: Uint8Array): any {
  const r = new Reader(b);
  const o: any = {};
  while (r.next()) {
    if (r.field === 1) o.kind = r.uint();
    else if (r.field === 2) o.collection = r.text();
    else if (r.field === 3) o.entity = idText(r.bytes());
    else {
      const f = new Reader(r.bytes());
      const out: any = {};
      while (f.next()) {
        if (f.field === 1) out.key = f.text();
        else if (f.field === 2) out.value = decode(f.bytes());
        else out.made = f.uint();
      }
      (o.fields ??= {})[out.key] = "made" in out ? { made: out.made } : out.value;
    }
  }
  return o;
}
