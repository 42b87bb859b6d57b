package signal

import "sync/atomic"

// Value is a signal that is set. Make one with [New], [NewComparable] or
// [NewEqual]; it must not be copied.
type Value[T any] struct {
	source Source
	state  atomic.Pointer[T]
	equal  func(a, b T) bool // nil: never
}

// New returns a signal with the value v. Each Set notifies, whatever the value.
func New[T any](v T) *Value[T] {
	return NewEqual(v, nil)
}

// NewComparable is [NewEqual] with == as the equality.
func NewComparable[T comparable](v T) *Value[T] {
	return NewEqual(v, func(a, b T) bool { return a == b })
}

// NewEqual is [New] with an equality: setting a value equal to the present one
// keeps the present one and notifies nobody. A nil equal takes all values for
// different.
func NewEqual[T any](v T, equal func(a, b T) bool) *Value[T] {
	s := &Value[T]{equal: equal}
	s.state.Store(&v)
	return s
}

// Get returns the value and, unless t is nil, makes the function that t was
// given to depend on it. Treat slices, maps and pointers in it as read-only: all
// readers get the same.
func (s *Value[T]) Get(t *Tracker) T {
	s.source.Track(t)
	return *s.state.Load()
}

// Set changes the value and runs the effects that depend on it; see
// [Source.Notify] for when, and for panics. If the equality panics, nothing has
// changed.
func (s *Value[T]) Set(v T) {
	s.Update(func(T) T { return v })
}

// Update sets the value to f of the present one. It calls f again if another
// goroutine has set the value in between, so that no change is lost; f should
// have no side effects and must return a new slice or map instead of changing
// the one it is given. If f panics, nothing has changed.
func (s *Value[T]) Update(f func(T) T) {
	for {
		old := s.state.Load()
		v := f(*old)
		if s.equal != nil && s.equal(*old, v) {
			return
		}
		if s.state.CompareAndSwap(old, &v) {
			break
		}
	}
	s.source.Notify()
}
