// Package id provides identifiers that carry causality: ULIDs whose time part
// is a hybrid logical clock reading and whose random part is a content hash.
//
// An [ID] is 128 bits: 48 bits of Unix milliseconds, 16 bits of logical
// counter, 64 bits of hash. The first 64 bits together are a [Stamp], a
// hybrid logical clock reading (Kulkarni, Demirbas, Madappa, Avva, Leone:
// "Logical Physical Clocks", OPODIS 2014). A [Clock] hands out stamps that are
// greater than every stamp it made or saw, so comparing IDs never contradicts
// causality: sorting events by ID is a topological sort (rules S1 and S3).
package id
