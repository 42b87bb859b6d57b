// Package keyset finds out what a predicate says of one path: a set of values
// outside of which the predicate cannot be TRUE. Engines read only those
// through an index, and the reactor asks only those queries whose sets hold a
// value that a commit wrote.
package keyset
