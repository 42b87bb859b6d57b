import type { Kind, Value } from "./codec.js";

/** The ID of an entity, as 26 characters. M is the collection, for the type checker alone. */
export type Id<M extends string = string> = string & { readonly __collection?: M };

/** A row whose model is not known. */
export interface Row {
  readonly id: string;
  readonly [property: string]: Value;
}

/** How a property is stored: its kind, or its key and its kind where the key is not the name in snake_case. */
export type Field = Kind | readonly [key: string, kind: Kind];

/** A model: T is what rows hold, I what an entity is made of. `ankurah gen -ts` writes them. */
export interface Model<T = Row, I = Partial<Omit<T, "id">>> {
  readonly name: string;
  readonly collection: string;
  readonly fields: Readonly<Record<string, Field>>;
  readonly types?: { row: T; input: I }; // never there: for the type checker alone
}

/** Describes a model. */
export function model<T = Row, I = Partial<Omit<T, "id">>>(name: string, collection: string, fields: Readonly<Record<string, Field>>): Model<T, I> {
  return { name, collection, fields };
}

/** Types by the name that a query is given; generated code adds to it. */
export interface Models {}

/** A model, or the name of one or of a collection. */
export type Which<T = any, I = any> = Model<T, I> | string;

/** What rows of W hold. */
export type RowOf<W> = W extends Model<infer T, any> ? T : W extends keyof Models ? Models[W] : Row;

/** What an entity of W is made of. */
export type InputOf<W> = W extends Model<any, infer I> ? I : W extends keyof Models ? Partial<Omit<Models[W], "id">> : { readonly [property: string]: unknown };

export function collectionOf(w: Which): string {
  return typeof w === "string" ? w : w.collection;
}

/** The stored key of a property, and its kind where it is known. */
export function keyOf(w: Which, name: string): [key: string, kind?: Kind] {
  const f = typeof w === "string" ? undefined : w.fields[name];
  if (typeof f === "object") return [f[0], f[1]];
  return [name.replace(/[A-Z]/g, (c) => "_" + c.toLowerCase()), f];
}

const names = new WeakMap<Model<any, any>, Map<string, string>>();

/** The name of the property that is stored under a key. */
export function nameOf(w: Which, key: string): string {
  if (typeof w !== "string") {
    let known = names.get(w);
    if (!known) names.set(w, (known = new Map(Object.keys(w.fields).map((name) => [keyOf(w, name)[0], name]))));
    const name = known.get(key);
    if (name) return name;
  }
  return key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());
}
