import type { Value } from "./codec.js";
import { encode, idBytes } from "./codec.js";
import { errorOf } from "./errors.js";
import type { Op } from "./messages.js";
import type { InputOf, Which } from "./model.js";
import { collectionOf, keyOf } from "./model.js";

/** An entity that a transaction creates. It can stand for its ID in the same and in later transactions. */
export class Created {
  /** The ID, "" until the transaction is committed. */
  id = "";
  /** @internal */
  constructor(readonly tx: Tx) {}
}

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

  create<W extends Which>(model: W, input: InputOf<W>): Created {
    const created = new Created(this);
    this.add({ kind: 1, model, created, fields: { ...(input as object) } });
    return created;
  }

  edit<W extends Which>(model: W, entity: string | Created, changes: Partial<InputOf<W>>): void {
    const own = this.find(entity);
    if (own) Object.assign(own.fields, changes);
    else this.add({ kind: 2, model, id: idOf(entity), fields: { ...(changes as object) } });
  }

  delete(model: Which, entity: string | Created): void {
    const own = this.find(entity);
    if (own) this.ops.splice(this.ops.indexOf(own), 1);
    else this.add({ kind: 3, model, id: idOf(entity), fields: {} });
  }

  restore(model: Which, entity: string | Created): void {
    this.add({ kind: 4, model, id: idOf(entity), fields: {} });
  }

  private find(entity: string | Created): Change | undefined {
    return this.ops.find((o) => o.created && o.created === entity);
  }

  private add(c: Change): void {
    if (this.over) throw errorOf("malformed", "the transaction is over: make changes before its function returns");
    this.ops.push(c);
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
    this.ops.filter((o) => o.created).forEach((o, k) => (o.created!.id = ids[k] ?? ""));
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

function idOf(entity: string | Created): string {
  if (typeof entity === "string") return entity;
  if (!entity.id) throw errorOf("not_found", "the entity is not committed yet: wait for the transaction that creates it");
  return entity.id;
}
