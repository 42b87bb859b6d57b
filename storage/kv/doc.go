// Package kv provides the storage engine over any ordered map from bytes to
// bytes: the key layout, commits with their conditions, secondary indexes and
// the query planner are written once, here, over the small contract [Store].
//
// # Keys
//
// Every key begins with the engine's prefix ([Options.Prefix]) and one byte
// that names its space. Numbers are uvarints unless said otherwise; IDs are
// their 16 bytes; a collection is its name and a zero byte.
//
//	00                              format: "ankurah", version
//	01 collection entity            state: entity.State.Append
//	02 entity rev (8, big-endian)   event: event.Event.Append
//	03 event                        position: entity, rev, collection name
//	04 transaction                  the transaction's record
//	05 claim key                    claim: entity
//	06 meta key                     the node's bookkeeping
//	07                              version of the index catalog
//	07 collection index name        index: message {id, complete, columns}
//	08 index id, columns…, entity   index entry: empty
//
// Every value ends with its seal: four bytes, big-endian, of the CRC-32C over
// the key without the engine's prefix and over the value before it. A read that
// meets a record whose seal does not fit fails with an error that names it.
//
// A column is value.AppendKey of what the evaluator sees under the column's
// path when the model is not known: null where the property is missing. Each
// existing entity has exactly one entry in each index, a deleted entity none.
//
// # Ordering and ownership
//
// Engine.mu serialises everything that writes: commits, and the short steps
// in which an index is built. Snapshots take no lock. An index is registered
// first, so that commits maintain it; then the entities that were there before
// get their entries, a chunk at a time; then it is marked complete, and only
// snapshots taken after that read it. The goroutines that build indexes belong
// to the engine, whose Close ends and awaits them.
package kv
