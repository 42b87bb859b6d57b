// Package event provides the immutable events that make up an entity's
// history, the heads that name a point in it, and their encoding.
//
// An event is a hashed header and a payload beside it (rule S2). The header
// names the payload by digest; the event's ID is a clock reading and the first
// 64 bits of SHA-256 over the header bytes. Bytes are kept verbatim: what is
// hashed is what is stored is what is sent. [Decode] verifies everything that
// can be verified without other events; whatever it returns obeys S2, S5 and
// S6. The message layouts are in docs/FORMAT.md.
package event
