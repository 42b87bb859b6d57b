import { Reader, Writer, decode, idText, ids } from "./codec.js";
import type { Value } from "./codec.js";

// Kinds of messages: what a page sends, both send, a node sends.
export const HELLO = 1, OPEN = 2, CLOSE = 3, MORE = 4, COMMIT = 5, TOOK = 6;
export const PING = 7, PONG = 8;
export const WELCOME = 9, BYE = 10, UPDATE = 11, ACK = 12, REFUSE = 13, STATE = 14;

export interface State {
  durable: boolean;
  connected: boolean;
  pending: number;
  subject: string;
  system: string;
}

/** A row that is new, changed, or stands somewhere else. */
export interface RowNews {
  id: string;
  place: number; // 1 + where it now stands; 0: its place among the rows that stay
  fields?: Record<string, Value>; // by stored key; none: as before
}

export interface Part {
  query: number;
  reset: boolean;
  gone: string[];
  rows: RowNews[];
  synced: number; // 0 as before, 1 yes, 2 no
  code: string;
  text: string;
  columns?: string[];
  groups: Value[][];
}

export interface Op {
  kind: 1 | 2 | 3 | 4;
  collection: string;
  entity?: Uint8Array | undefined;
  fields: { key: string; value?: Uint8Array; made?: number }[];
}

/** The frame of a message. */
export function frame(kind: number, body = new Writer()): ArrayBuffer {
  return new Writer().bytes(kind, body.done(), true).done().buffer as ArrayBuffer;
}

export function hello(credential: Uint8Array, app: number): ArrayBuffer {
  return frame(HELLO, new Writer().uint(1, 1).uint(2, 1).bytes(3, credential).uint(4, app));
}

export function open(query: number, collection: string, text: string, args: readonly Uint8Array[]): ArrayBuffer {
  const w = new Writer().uint(1, query).text(2, collection, true).text(3, text);
  for (const a of args) w.bytes(4, new Writer().bytes(2, a, true).done());
  return frame(OPEN, w);
}

export function close(query: number): ArrayBuffer {
  return frame(CLOSE, new Writer().uint(1, query));
}

export function more(query: number, rows: number): ArrayBuffer {
  return frame(MORE, new Writer().uint(1, query).uint(2, rows));
}

export function commit(tx: Uint8Array, ops: readonly Op[]): ArrayBuffer {
  const w = new Writer().bytes(1, tx);
  for (const o of ops) {
    const body = new Writer().uint(1, o.kind).text(2, o.collection, true).bytes(3, o.entity ?? new Uint8Array());
    for (const f of o.fields) {
      const field = new Writer().text(1, f.key, true);
      if (f.value) field.bytes(2, f.value, true);
      body.bytes(4, field.uint(3, f.made ?? 0).done());
    }
    w.bytes(2, body.done());
  }
  return frame(COMMIT, w);
}

/** A frame that a node sent: the kind and what is in it. */
export function receive(data: ArrayBuffer): { kind: number; body: Reader } {
  const r = new Reader(new Uint8Array(data));
  r.next();
  return { kind: r.field, body: new Reader(r.bytes()) };
}

/** Reads a message of numbers and texts: what f returns for a field is kept. */
export function readState(r: Reader): State {
  const s: State = { durable: false, connected: false, pending: 0, subject: "", system: "" };
  while (r.next()) {
    if (r.field === 1) s.durable = r.uint() === 1;
    else if (r.field === 2) s.connected = r.uint() === 1;
    else if (r.field === 3) s.pending = r.uint();
    else if (r.field === 4) s.subject = r.text();
    else s.system = idText(r.bytes());
  }
  return s;
}

/** Reads a Bye: its code and text. */
export function readBye(r: Reader): { code: string; text: string } {
  const out = { code: "", text: "" };
  while (r.next()) out[r.field === 1 ? "code" : "text"] = r.text();
  return out;
}

/** Reads an Ack. */
export function readAck(r: Reader): { tx: string; created: string[]; confirmed: boolean } {
  const out = { tx: "", created: [] as string[], confirmed: false };
  while (r.next()) {
    if (r.field === 1) out.tx = idText(r.bytes());
    else if (r.field === 2) out.created = ids(r.bytes());
    else out.confirmed = r.uint() === 1;
  }
  return out;
}

/** Reads a Refuse. */
export function readRefuse(r: Reader): { tx: string; code: string; text: string } {
  const out = { tx: "", code: "", text: "" };
  while (r.next()) {
    if (r.field === 1) out.tx = idText(r.bytes());
    else out[r.field === 2 ? "code" : "text"] = r.text();
  }
  return out;
}

/** Reads one frame of an Update. */
export function readUpdate(r: Reader): { parts: Part[]; follows: boolean } {
  const out = { parts: [] as Part[], follows: false };
  while (r.next()) {
    if (r.field === 1) out.parts.push(readPart(new Reader(r.bytes())));
    else out.follows = r.uint() === 1;
  }
  return out;
}

function readPart(r: Reader): Part {
  const p: Part = { query: 0, reset: false, gone: [], rows: [], synced: 0, code: "", text: "", groups: [] };
  const keys: string[] = [];
  while (r.next()) {
    switch (r.field) {
      case 1: p.query = r.uint(); break;
      case 2: p.reset = r.uint() === 1; break;
      case 3: keys.push(r.text()); break;
      case 4: p.gone = ids(r.bytes()); break;
      case 5: p.rows.push(readRow(new Reader(r.bytes()), keys)); break;
      case 6: p.synced = r.uint(); break;
      case 7: p.code = r.text(); break;
      case 8: p.text = r.text(); break;
      case 9: (p.columns ??= []).push(r.text()); break;
      default: p.groups.push(readGroup(new Reader(r.bytes())));
    }
  }
  return p;
}

function readRow(r: Reader, keys: string[]): RowNews {
  const row: RowNews = { id: "", place: 0, fields: {} };
  while (r.next()) {
    if (r.field === 1) row.id = idText(r.bytes());
    else if (r.field === 2) row.place = r.uint();
    else if (r.field === 3) r.uint(), delete row.fields;
    else {
      const c = new Reader(r.bytes());
      let key = 0;
      while (c.next()) {
        if (c.field === 1) key = c.uint();
        else row.fields![keys[key]!] = decode(c.bytes());
      }
    }
  }
  return row;
}

function readGroup(r: Reader): Value[] {
  const out: Value[] = [];
  while (r.next()) out.push(decode(r.bytes()));
  return out;
}
