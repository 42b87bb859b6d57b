// Package reactor keeps the results of live queries up to date: it routes each
// commit to the queries that it can change and maintains their windows
// (S50–S58). It is pure: no goroutines, no locks, no storage; what a window
// lacks it asks its caller to read.
//
// A query is registered by what its predicate says of one path, or of one path
// for each branch of a disjunction: values by hash, ranges and prefixes in an
// interval tree, elements of lists by hash. A commit looks up the old and the
// new value of every path that has queries. What it reaches is judged by the
// evaluator, so a route may lead to too many queries and never to too few.
package reactor
