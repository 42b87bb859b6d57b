// Package reactor keeps the results of live queries up to date: it routes each
// commit to the queries that it can change and maintains their windows
// (S50–S57). It is pure: no goroutines, no locks, no storage; what a window
// lacks it asks its caller to read.
//
// [Reactor] is the seam behind which routing may change. [Scanning] offers
// every commit to every query of the collections it touches, which is correct
// for every predicate shape and costs time in proportion to the queries.
package reactor
