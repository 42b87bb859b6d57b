export { Client } from "./client.js";
export type { Arg, ClientOptions, Connection, Credential, Snapshot } from "./client.js";
export { isID } from "./codec.js";
export type { Kind, Value } from "./codec.js";
export * from "./errors.js";
export { onPort, remote } from "./host.js";
export type { Handlers, Host, PortLike, RemoteOptions } from "./host.js";
export { model } from "./model.js";
export type {
  Entity, EntityId, Field, Group, IdOf, InputOf, Inputs, Int64, Json, Key, Made, Model, Models, PatchOf, Ref, RefInput, Row, RowOf, Selected, TextKey, Which,
} from "./model.js";
export { Query, rowsOf } from "./query.js";
export type { Rows, Status } from "./query.js";
export { Source, computed } from "./signal.js";
export type { Signal } from "./signal.js";
export { Created } from "./tx.js";
export type { Mutable, Tx } from "./tx.js";
