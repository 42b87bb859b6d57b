// The page protocol, as docs/FORMAT.md describes it: Protocol Buffers wire
// format, written and read by hand.

/** A value that a property can have, or a query parameter. */
export type Value = null | boolean | number | bigint | string | Date | Uint8Array | readonly Value[] | { readonly [key: string]: Value };

/** How a property is stored; list<…> of the others. */
export type Kind = "string" | "bool" | "int32" | "int64" | "float64" | "bytes" | "time" | "id" | "json" | `list<${string}>`;

const kinds = ["null", "string", "bool", "int32", "int64", "float64", "bytes", "time", "id", "json", "list"];
const STRING = 1, BOOL = 2, INT64 = 4, FLOAT64 = 5, BYTES = 6, TIME = 7, ID = 8, JSON_ = 9, LIST = 10;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Builds a message. Fields come in ascending order; what is empty is left out unless it is kept. */
export class Writer {
  private buffer = new Uint8Array(64);
  private length = 0;

  private room(n: number): void {
    if (this.length + n <= this.buffer.length) return;
    const bigger = new Uint8Array(2 * (this.length + n));
    bigger.set(this.buffer);
    this.buffer = bigger;
  }

  private varint(n: number | bigint): void {
    this.room(10);
    if (typeof n === "number" && n > 0x7fffffff) n = BigInt(n);
    if (typeof n === "bigint") {
      for (; n > 127n; n >>= 7n) this.buffer[this.length++] = Number(n & 127n) | 128;
      n = Number(n);
    }
    for (; n > 127; n >>>= 7) this.buffer[this.length++] = (n & 127) | 128;
    this.buffer[this.length++] = n;
  }

  uint(field: number, n: number | bigint, keep = false): this {
    if (!n && !keep) return this;
    this.varint(field << 3);
    this.varint(n);
    return this;
  }

  double(field: number, n: number): this {
    this.varint((field << 3) | 1);
    this.room(8);
    new DataView(this.buffer.buffer).setFloat64(this.length, n, true);
    this.length += 8;
    return this;
  }

  bytes(field: number, b: Uint8Array, keep = false): this {
    if (!b.length && !keep) return this;
    this.varint((field << 3) | 2);
    this.varint(b.length);
    this.room(b.length);
    this.buffer.set(b, this.length);
    this.length += b.length;
    return this;
  }

  text(field: number, s: string, keep = false): this {
    return this.bytes(field, utf8.encode(s), keep);
  }

  done(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }
}

/** Walks the fields of a message. */
export class Reader {
  field = 0;
  private at = 0;
  private view: DataView;

  constructor(private readonly b: Uint8Array) {
    this.view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  }

  /** Goes to the next field that is no annotation. */
  next(): boolean {
    while (this.at < this.b.length) {
      const tag = this.uint();
      this.field = tag >>> 3;
      if (this.field < 1000) return true;
      if ((tag & 7) === 0) this.varint();
      else if ((tag & 7) === 2) this.bytes();
      else this.at += (tag & 7) === 1 ? 8 : 4;
    }
    return false;
  }

  /** A number that fits 53 bits. */
  uint(): number {
    return Number(this.varint());
  }

  private varint(): number | bigint {
    let n = 0;
    for (let k = 0; k < 7; k++) {
      const c = this.b[this.at++]!;
      n += (c & 127) * 2 ** (7 * k);
      if (c < 128) return n;
    }
    let long = BigInt(n);
    for (let shift = 49n; ; shift += 7n) {
      const c = this.b[this.at++];
      if (c === undefined) throw new RangeError("truncated message");
      long |= BigInt(c & 127) << shift;
      if (c < 128) return long;
    }
  }

  /** A signed number: a bigint where a number would not be exact. */
  sint(): number | bigint {
    const n = this.varint();
    if (typeof n === "number") return n % 2 ? -(n + 1) / 2 : n / 2;
    const signed = (n >> 1n) ^ -(n & 1n);
    const short = Number(signed);
    return Number.isSafeInteger(short) ? short : signed;
  }

  double(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8, true);
  }

  bytes(): Uint8Array {
    const n = this.uint();
    this.at += n;
    if (this.at > this.b.length) throw new RangeError("truncated message");
    return this.b.subarray(this.at - n, this.at);
  }

  text(): string {
    return text.decode(this.bytes());
  }
}

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The 26 characters of the ID of 16 bytes at an offset. */
export function idText(b: Uint8Array, at = 0): string {
  let s = "";
  for (let k = -2; k < 128; k += 5) {
    // 5 bits that begin at bit k; the 130 bits begin with two zeros
    let v = 0;
    for (let j = k; j < k + 5; j++) v = v * 2 + (j < 0 ? 0 : (b[at + (j >> 3)]! >> (7 - (j & 7))) & 1);
    s += alphabet[v];
  }
  return s;
}

/** The 16 bytes of an ID's text; undefined if it is none. */
export function idBytes(s: string): Uint8Array | undefined {
  if (s.length !== 26) return undefined;
  const b = new Uint8Array(16);
  for (let k = 0; k < 26; k++) {
    const v = alphabet.indexOf(s[k]!.toUpperCase());
    if (v < 0 || (k === 0 && v > 7)) return undefined;
    for (let j = 0; j < 5; j++) {
      const bit = k * 5 - 2 + j;
      if (bit >= 0 && (v >> (4 - j)) & 1) b[bit >> 3]! |= 128 >> (bit & 7);
    }
  }
  return b;
}

/** Whether a text is an ID. */
export function isID(s: string): boolean {
  return idBytes(s) !== undefined;
}

/** The IDs that stand one behind the other. */
export function ids(b: Uint8Array): string[] {
  const out = [];
  for (let at = 0; at < b.length; at += 16) out.push(idText(b, at));
  return out;
}

const zigzag = (n: number | bigint): bigint => {
  const b = BigInt(n);
  return BigInt.asUintN(64, (b << 1n) ^ (b >> 63n));
};

function fail(v: unknown, kind: string): never {
  throw new TypeError(`ankurah: ${String(v)} is not ${kind}`);
}

const exact = (_: string, v: unknown) => (typeof v === "bigint" ? Number(v) : v);

/** Encodes a value as a kind, or as what it looks like: integers as int64, other numbers as float64. */
export function encode(v: Value | undefined, kind?: string): Uint8Array {
  const w = new Writer();
  if (v === null || v === undefined || (v === "" && kind === "id")) return w.done();
  if (kind?.startsWith("list") || (!kind && Array.isArray(v) && v.length > 0 && v.every((e) => typeof e === "string" || typeof e === "boolean"))) {
    if (!Array.isArray(v)) fail(v, "a list");
    const element = kind ? kind.slice(5, -1) : typeof v[0] === "string" ? "string" : "bool";
    const list = new Writer().uint(1, kinds.indexOf(element));
    for (const e of v) list.bytes(2, encode(e, element), true);
    return w.bytes(LIST, list.done()).done();
  }
  switch (kind ?? typeof v) {
    case "string":
      return w.text(STRING, typeof v === "string" ? v : fail(v, "text"), true).done();
    case "bool":
    case "boolean":
      return w.uint(BOOL, typeof v === "boolean" ? +v : fail(v, "true or false"), true).done();
    case "number":
      return Number.isSafeInteger(v) ? w.uint(INT64, zigzag(v as number), true).done() : w.double(FLOAT64, v as number).done();
    case "int32":
    case "int64":
    case "bigint":
      if (typeof v !== "bigint" && !Number.isSafeInteger(v)) fail(v, "a whole number");
      return w.uint(kinds.indexOf(kind === "int32" ? kind : "int64"), zigzag(v as number | bigint), true).done();
    case "float64":
      if (typeof v !== "number") fail(v, "a number");
      return w.double(FLOAT64, v === 0 ? 0 : v).done();
    case "id":
      return w.bytes(ID, (typeof v === "string" && idBytes(v)) || fail(v, "an ID")).done();
  }
  if (kind === "time" || (!kind && v instanceof Date)) {
    if (!(v instanceof Date) || isNaN(+v)) fail(v, "a time");
    return w.uint(TIME, zigzag(BigInt(+v) * 1000n), true).done();
  }
  if (kind === "bytes" || (!kind && v instanceof Uint8Array)) {
    return w.bytes(BYTES, v instanceof Uint8Array ? v : fail(v, "bytes"), true).done();
  }
  return w.text(JSON_, JSON.stringify(v, exact)).done();
}

/** Decodes a value: IDs as text, times as Dates, JSON as what it holds. */
export function decode(b: Uint8Array): Value {
  const r = new Reader(b);
  if (!r.next()) return null;
  switch (r.field) {
    case STRING:
      return r.text();
    case BOOL:
      return r.uint() === 1;
    case FLOAT64:
      return r.double();
    case BYTES:
      return r.bytes().slice();
    case TIME:
      return new Date(Math.floor(Number(r.sint()) / 1000));
    case ID:
      return idText(r.bytes());
    case JSON_:
      return JSON.parse(r.text());
    case LIST: {
      const list = new Reader(r.bytes());
      const out: Value[] = [];
      while (list.next()) {
        if (list.field === 1) list.uint();
        else out.push(decode(list.bytes()));
      }
      return out;
    }
    default:
      return r.field < LIST ? r.sint() : null;
  }
}
