import type { Kind, Value } from "./codec.js";

declare const of: unique symbol;

/** The ID of an entity of the model N, as 26 characters. Text becomes one with `as`, where its origin is sure. */
export type EntityId<N extends string = string> = string & { readonly [of]: N };

/** A reference: the ID of an entity of the model N, or "" for none. */
export type Ref<N extends string = string> = EntityId<N>;

/** The ID of what a transaction creates, which stands for it until it has one. */
export interface Made<I extends string = string> {
  readonly id: I;
  readonly tx: unknown;
}

/** What a reference can be set to: also what an earlier transaction or this one creates. */
export type RefInput<N extends string = string> = EntityId<N> | Made<EntityId<N>>;

/** A whole number of 64 bits: a number up to 2⁵³, a bigint beyond. Number(n) makes one of both. */
export type Int64 = number | bigint;

/** What a JSON property holds. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A row whose model is not known. */
export interface Row {
  readonly id: string;
  readonly [property: string]: Value;
}

/** A row of a text that begins with SELECT: a value by the name of each column. */
export interface Group {
  readonly [column: string]: Value;
}

/** How a property is stored: its kind, or its key and its kind where the key is not the name in snake_case. */
export type Field = Kind | readonly [key: string, kind: Kind];

/** A model: T is what rows hold, I what an entity is made of. `ankurah gen -ts` writes them. */
export interface Model<T = Row, I = Partial<Omit<T, "id">>> {
  readonly name: string;
  readonly collection: string;
  readonly fields: Readonly<Record<string, Field>>;
  /** What properties read as that are missing or null. */
  readonly defaults: Readonly<Partial<T>> | undefined;
  readonly types?: { row: T; input: I }; // never there: for the type checker alone
}

const known = new Map<string, Model<any, any>>();

/** Describes a model, which its name and the collection's name then stand for. */
export function model<T = Row, I = Partial<Omit<T, "id">>>(
  name: string,
  collection: string,
  fields: { readonly [K in keyof Omit<T, "id">]?: Field },
  defaults?: Readonly<Partial<T>>,
): Model<T, I> {
  const m: Model<T, I> = { name, collection, fields: fields as Model["fields"], defaults };
  known.set(name, m).set(collection, m);
  return m;
}

/** Types of rows by the name that a query is given; generated code adds to it. */
export interface Models {}

/** Types of what entities are made of by the same names. */
export interface Inputs {}

/** A model, or the name of one or of a collection. */
export type Which<T = any, I = any> = Model<T, I> | string;

/** What rows of W hold. */
export type RowOf<W> = W extends Model<infer T, any> ? T : W extends keyof Models ? Models[W] : Row;

/** What an entity of W is made of. */
export type InputOf<W> = W extends Model<any, infer I>
  ? I
  : W extends keyof Inputs
    ? Inputs[W]
    : W extends keyof Models
      ? Partial<Omit<Models[W], "id">>
      : { readonly [property: string]: unknown };

/** What an edit of W changes; null clears a property that is optional. */
export type PatchOf<W> = Partial<InputOf<W>>;

/** The ID of an entity of W. */
export type IdOf<W> = RowOf<W> extends { readonly id: infer I extends string } ? I : string;

/** An ID to look an entity of W up by: any text, but no ID of another model. */
export type Key<W> = IdOf<W> extends EntityId<infer N> ? string & { readonly [of]?: N } : string;

/** An ID for a name that no generated code knows: no ID of a model, unless T says of which it may be. */
export type TextKey<T> = string extends keyof T ? string & { readonly [of]?: never } : Key<Model<T>>;

/** An entity of W: its ID, its row, or what a transaction creates. */
export type Entity<W> = Key<W> | { readonly id: IdOf<W> };

/** What rows of a query hold. */
export type Selected<T, Q> = Q extends string ? (Uppercase<Q> extends `SELECT ${string}` ? Group : T) : T;

/** The model that a name stands for. */
const modelOf = (w: Which): Model<any, any> | undefined => (typeof w === "string" ? known.get(w) : w);

export function collectionOf(w: Which): string {
  return modelOf(w)?.collection ?? (w as string);
}

/** What properties read as that are missing or null. */
export function defaultsOf(w: Which): object | undefined {
  return modelOf(w)?.defaults;
}

/** The stored key of a property, and its kind where it is known. */
export function keyOf(w: Which, name: string): [key: string, kind: Kind | undefined] {
  const f = modelOf(w)?.fields[name];
  if (typeof f === "object") return [f[0], f[1]];
  return [name.replace(/[A-Z]/g, (c) => "_" + c.toLowerCase()), f];
}

const names = new WeakMap<Model<any, any>, Map<string, string>>();

/** The name of the property that is stored under a key. */
export function nameOf(w: Which, key: string): string {
  const m = modelOf(w);
  if (m) {
    let known = names.get(m);
    if (!known) names.set(m, (known = new Map(Object.keys(m.fields).map((name) => [keyOf(m, name)[0], name]))));
    const name = known.get(key);
    if (name) return name;
  }
  return key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());
}
