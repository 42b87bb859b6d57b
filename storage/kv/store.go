package kv

import "context"

// Store is an ordered map from bytes to bytes: what an engine under this
// package has to provide. Nothing here is more than a distributed optimistic
// transaction can do.
type Store interface {
	// Snapshot returns a consistent view of everything that Apply has
	// returned from. The caller closes it.
	Snapshot() (Snapshot, error)
	// Apply checks the batch's preconditions and makes its writes, all or
	// none, durably as the store was opened to. A failed precondition is a
	// [*PreconditionError] and writes nothing. Later writes of a batch win
	// over earlier ones of the same key. The batch is not kept.
	Apply(ctx context.Context, b *Batch) error
	// Close releases the store; it waits for nothing and snapshots must be
	// closed before.
	Close() error
}

// Reader reads keys.
type Reader interface {
	// Get returns the value under key, false when there is none. The value is
	// the caller's.
	Get(ctx context.Context, key []byte) ([]byte, bool, error)
	// Scan walks the keys from lo (included) to hi (excluded), backwards when
	// reverse is set. A nil bound is none. The bounds must not change before
	// the iterator is closed.
	Scan(ctx context.Context, lo, hi []byte, reverse bool) (Iterator, error)
}

// Snapshot is a consistent view of a store. Several goroutines may use one.
type Snapshot interface {
	Reader
	Close() error
}

// Iterator walks keys. One goroutine uses it.
type Iterator interface {
	// Next moves to the next key; false at the end or on an error.
	Next() bool
	// Key and Value are valid until Next or Close.
	Key() []byte
	Value() []byte
	// Err returns what ended the walk, nil at the end.
	Err() error
	Close() error
}

// Batch is a list of preconditions and writes.
type Batch struct {
	Preconditions []Precondition
	Writes        []Write
}

// Precondition is what must hold of a key for the batch to be applied.
type Precondition struct {
	Key   []byte
	Value []byte // nil: the key must be absent
}

// Write sets or, when Delete is set, removes a key.
type Write struct {
	Key, Value []byte
	Delete     bool
}

// PreconditionError says which precondition of a batch did not hold.
type PreconditionError struct{ Index int }

func (e *PreconditionError) Error() string { return "ankurah: kv precondition failed" }
