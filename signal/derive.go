package signal

// Readable is a signal: a [Value], a [ComputedValue], or a type of another
// package with a [Source] inside.
type Readable[T any] interface {
	// Get returns the value now and, unless t is nil, makes the function that t
	// was given to depend on it.
	Get(t *Tracker) T
}

// Map returns the signal of f of the value of src. It is a [Computed] value: f is
// called when the result is read and src has changed. For a result that does not
// notify when f returns an equal value write a [ComputedComparable].
func Map[A, B any](src Readable[A], f func(A) B) *ComputedValue[B] {
	return Computed(func(t *Tracker) B { return f(src.Get(t)) })
}

// Filter returns the signal of those elements of src for which keep is true, in
// their order, in a slice of its own. It is a [Computed] value.
func Filter[A any](src Readable[[]A], keep func(A) bool) *ComputedValue[[]A] {
	return Computed(func(t *Tracker) []A {
		var kept []A
		for _, a := range src.Get(t) {
			if keep(a) {
				kept = append(kept, a)
			}
		}
		return kept
	})
}

// Count returns the signal of the length of src. It does not notify while that
// stays the same.
func Count[A any](src Readable[[]A]) *ComputedValue[int] {
	return ComputedComparable(func(t *Tracker) int { return len(src.Get(t)) })
}

// Combine returns the signal of f of the values of a and b. It is a [Computed]
// value. Both values are of one moment, also if others make changes while they
// are read, unless these come faster than both can be read many times in a row.
func Combine[A, B, C any](a Readable[A], b Readable[B], f func(A, B) C) *ComputedValue[C] {
	return Computed(func(t *Tracker) C {
		var x A
		var y B
		for range maxReads {
			began := graph.epoch.Load()
			x, y = a.Get(t), b.Get(t)
			if graph.epoch.Load() == began {
				break
			}
		}
		return f(x, y)
	})
}

// maxReads bounds how often Combine reads again because something has changed.
const maxReads = 100
