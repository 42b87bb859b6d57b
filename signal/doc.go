// Package signal provides values that tell who depends on them when they change.
//
// A [Value] is set, a [Computed] value is derived from others, and an [Effect]
// acts on changes. Go has no state per goroutine, so dependencies are explicit: a
// function gets a [Tracker] and passes it to each Get it wants to depend on; a
// Get with nil is an ordinary read.
//
//	first, last := signal.New("Ada"), signal.New("Lovelace")
//	full := signal.Computed(func(t *signal.Tracker) string {
//		return first.Get(t) + " " + last.Get(t)
//	})
//	e := signal.Effect(func(t *signal.Tracker) { println(full.Get(t)) })
//	defer e.Close()
//	last.Set("King") // prints again
//
// A type of another package becomes a signal with a [Source].
//
// # Ordering
//
// A change is visible to every read as soon as the call that makes it has
// returned, and earlier to reads that overlap it. It marks what depends on the
// signal, directly or not, and then runs the effects among that, on its own
// goroutine and before it returns. Computed values are only marked; they are
// computed when they are read.
//
// An effect, and a function of a computed value, never sees one signal before a
// change and another one, derived from it, after it, unless the change is made
// while it runs; then it is run again. Each computed value is computed at most
// once for a change, unless two goroutines need it at the same time, and not at
// all if what it depends on turns out to be equal.
//
// The effects woken by one change or one [Batch] run in the order in which they
// were created. An effect that makes a change runs the effects of that before it
// goes on, unless they are running already; use Batch in it to make several
// changes at once. Effects that are ready on one goroutine may be run by another
// one that makes a change; so if several goroutines make changes, an effect may
// still be about to run, elsewhere, when the call that woke it returns. No effect
// runs twice at once and none misses the last change.
//
// # Concurrency
//
// Everything may be used from several goroutines. The package starts none. It
// calls user functions with no lock held, so these may use any signal. Only two
// things wait for a user function: an untracked read of a computed value, for an
// evaluation on another goroutine, and whoever receives from Done.
//
// Goroutines are not isolated from each other: a Batch delays effects, it does not
// hide values. Functions of computed values must be pure but for their reads; one
// that sets signals may be evaluated more often than needed, and blocks for ever
// if an effect of that makes an untracked read of the value being computed.
//
// # Ownership
//
// Who creates an effect closes it. Until then the signals that it depends on keep
// it alive, and it keeps them alive. A computed value is connected to its sources
// only while an effect depends on it, so chains of [Map], [Filter] and [Combine]
// need no Close. A computed value that no effect depends on checks its sources on
// a read if anything in the process has changed since the last one.
//
// After Close no callback starts. One that has started on another goroutine may
// still be running; [EffectHandle.Done] tells when it has ended.
//
// # Panics
//
// A panic in a user function reaches the caller that caused it to run and leaves
// the graph as it should be. The function of a computed value fails for its
// readers until something it read changes. An effect stays in place and runs
// again at the next change. The other effects of the same change still run.
package signal
