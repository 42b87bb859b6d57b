import type { Value } from "./codec.js";
import { encode, idBytes } from "./codec.js";
import { errorOf } from "./errors.js";
import type { Op } from "./messages.js";
import type { Entity, IdOf, InputOf, Made, PatchOf, Which } from "./model.js";
import { collectionOf, keyOf } from "./model.js";

/** An entity that a transaction creates. It can stand for its ID in the same and in later transactions. */
export class Created<I extends string = string> implements Made<I> {
  /** The ID, "" until the transaction is committed. */
  readonly id = "" as I;
  /** @internal */
  constructor(readonly tx: Tx) {}
}

/** An entity that a transaction edits: its properties can be set, and null clears one that is optional. */
export type Mutable<W> = { -readonly [K in keyof PatchOf<W>]: PatchOf<W>[K] };

type Ent = string | { readonly id: string };

interface Change {
  kind: Op["kind"];
  model: Which;
  id?: string; // of what exists
  created?: Created;
  fields: Record<string, unknown>;
}

/** Changes that are made all or none. */
export class Tx {
  /** @internal */
  readonly ops: Change[] = [];
  /** @internal */
  over = false;
  /** @internal */
  refused = false;

  create<W extends Which>(model: W, input: InputOf<W>): Created<IdOf<W>> {
    const created = new Created<IdOf<W>>(this);
    this.add({ kind: 1, model, created, fields: { ...(input as object) } });
    return created;
  }

  /** Edits an entity. What it returns takes more changes until the transaction's function returns: `m.title = "x"`. */
  edit<W extends Which>(model: W, entity: Entity<W>, changes?: PatchOf<W>): Mutable<W> {
    const own = this.find(entity) ?? this.add({ kind: 2, model, id: idOf(entity), fields: {} });
    return Object.assign(own.fields, changes) as Mutable<W>;
  }

  delete<W extends Which>(model: W, entity: Entity<W>): void {
    const own = this.find(entity);
    if (own) this.ops.splice(this.ops.indexOf(own), 1);
    else this.add({ kind: 3, model, id: idOf(entity), fields: {} });
  }

  restore<W extends Which>(model: W, entity: Entity<W>): void {
    this.add({ kind: 4, model, id: idOf(entity), fields: {} });
  }

  /** @internal Ends it: nothing is changed any more. What is created comes first, since edits may refer to it. */
  end(): void {
    this.over = true;
    this.ops.sort((a, b) => +!a.created - +!b.created);
    for (const o of this.ops) Object.freeze(o.fields);
  }

  private find(entity: Ent): Change | undefined {
    return this.ops.find((o) => o.created && o.created === entity);
  }

  private add(c: Change): Change {
    if (this.over) throw errorOf("malformed", "the transaction is over: make changes before its function returns");
    this.ops.push(c);
    return c;
  }

  /** @internal What the node is to be sent; undefined while it depends on what has no ID yet. */
  encode(): Op[] | undefined {
    const made = this.ops.filter((o) => o.created);
    const ops: Op[] = [];
    for (const o of this.ops) {
      const op: Op = { kind: o.kind, collection: collectionOf(o.model), fields: [] };
      if (o.id !== undefined) {
        op.entity = idBytes(o.id);
        if (!op.entity) throw errorOf("not_found", `${o.id} is no ID`);
      }
      for (const name in o.fields) {
        const value = o.fields[name];
        if (value === undefined || (value === null && o.kind === 1)) continue;
        const [key, kind] = keyOf(o.model, name);
        if (!(value instanceof Created)) {
          try {
            op.fields.push({ key, value: encode(value as Value, value === null ? undefined : kind) });
          } catch (e) {
            throw errorOf("schema", `${op.collection}.${name}: ${(e as Error).message}`);
          }
          continue;
        }
        const at = made.findIndex((m) => m.created === value);
        if (at >= 0) op.fields.push({ key, made: at + 1 });
        else if (value.id) op.fields.push({ key, value: encode(value.id, "id") });
        else if (value.tx.refused || value.tx === this) throw errorOf("depends", `${op.collection}.${name} refers to what was not created`);
        else return undefined;
      }
      ops.push(op);
    }
    return ops;
  }

  /** @internal Takes the IDs of what was created. */
  made(ids: readonly string[]): void {
    this.ops.filter((o) => o.created).forEach((o, k) => ((o.created as { id: string }).id = ids[k] ?? ""));
  }

  /** @internal A row with what this transaction makes of it. */
  edited(id: string, row: any, model: Which): any {
    for (const o of this.ops) {
      if (o.id !== id || !row) continue;
      if (o.kind === 3) row = undefined;
      if (o.kind !== 2) continue;
      row = { ...row };
      for (const name in o.fields) {
        const value = o.fields[name];
        if (value === null) delete row[name];
        else if (value !== undefined) row[name] = value instanceof Created ? value.id : value;
      }
      Object.freeze(row);
    }
    return row;
  }
}

function idOf(entity: Ent): string {
  const id = typeof entity === "string" ? entity : entity.id;
  if (!id) throw errorOf("not_found", "the entity is not committed yet: wait for the transaction that creates it");
  return id;
}
