package dump

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
)

// Options configures the work on a store; nil is the zero value.
type Options struct {
	// Kinds are the property kinds of the store's data; nil is registers only.
	Kinds *property.Registry
	// Progress is called now and then, by the goroutine that works.
	Progress func(Progress)
	// Damage is called with each difference that [Verify] finds.
	Damage func(error)
}

// Progress is how far the work is.
type Progress struct {
	Entities uint64 // done
	Of       uint64 // entities there are, about; 0 when that is not known
	Bytes    int64  // of the dump, so far
}

// every is how many entities there are between two reports of progress.
const every = 64

func (o *Options) orDefault() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Kinds == nil {
		out.Kinds = property.NewRegistry(lww.Kind)
	}
	return out
}

// lister is a snapshot that can be looked through.
type lister interface {
	storage.Snapshot
	storage.Lister
}

func listed(e storage.Engine) (lister, error) {
	snap, err := e.Snapshot()
	if err != nil {
		return nil, err
	}
	l, ok := snap.(lister)
	if !ok {
		return nil, errors.Join(errors.New("ankurah: the engine "+e.Info().Name+" cannot list what it holds"), snap.Close())
	}
	return l, nil
}

// check holds the histories of a store against the rest of it.
type check struct {
	snap   lister
	kinds  *property.Registry
	root   id.ID
	placed bool              // the engine has compared positions with events
	fault  func(error) error // takes a difference; an error ends the work
	faulty bool              // there was one: sums need not fit any more

	clock  id.Stamp   // the greatest of an event
	events uint64     // seen
	tx     event.TxID // the last one that was found to have a record
}

// open reads what a durable store says of itself.
func (c *check) open(ctx context.Context, location string) error {
	for _, key := range []string{book.Restoring, book.Subject} {
		_, ok, err := c.snap.Meta(ctx, []byte(key))
		switch {
		case err != nil:
			return err
		case ok && key == book.Restoring:
			return &storage.UnfinishedError{Location: location}
		case ok:
			return errors.New("ankurah: " + location + " is the store of an ephemeral node, which holds copies: work on its server's store")
		}
	}
	b, ok, err := c.snap.Meta(ctx, []byte(book.Root))
	switch {
	case err != nil:
		return err
	case !ok:
		return c.nothing(ctx, location)
	}
	if c.root, err = id.FromBytes(b); err != nil {
		return &storage.CorruptError{What: "meta record " + book.Root, Err: err}
	}
	return nil
}

// nothing returns an error about a store without a root: it is empty, or it has
// lost it.
func (c *check) nothing(ctx context.Context, location string) error {
	used, err := holds(ctx, c.snap)
	switch {
	case err != nil:
		return err
	case used:
		return &storage.CorruptError{What: "meta record " + book.Root, Err: errors.New("it is missing, and there is data")}
	}
	return &emptyError{location}
}

// ErrEmpty is wrapped by errors about a store that no system was created in.
var ErrEmpty = errors.New("store is empty")

type emptyError struct{ location string }

func (e *emptyError) Error() string {
	return "ankurah: there is no system in " + e.location + ": it was never used"
}
func (e *emptyError) Unwrap() error { return ErrEmpty }

// total returns about how many entities there are, 0 when nobody asks.
func (c *check) total(ctx context.Context, o *Options) (n uint64, err error) {
	if o.Progress == nil {
		return 0, nil
	}
	names, err := c.snap.Collections(ctx)
	if err != nil {
		return 0, nil // who reads on will meet it
	}
	for _, name := range names {
		k, err := c.snap.Count(ctx, &ankql.Selection{Collection: name, Limit: -1})
		if err != nil && !storage.IsCorrupt(err) {
			return 0, err
		}
		n += uint64(k)
	}
	return n, nil
}

// damage makes a fault of what is wrong with a record of the store.
func (c *check) damage(what, why string) error {
	return c.tell(&storage.CorruptError{What: what, Err: errors.New(why)})
}

func (c *check) tell(err error) error {
	c.faulty = true
	return c.fault(err)
}

// pass makes a fault of an error about damage; others end the work.
func (c *check) pass(err error) error {
	if storage.IsCorrupt(err) {
		return c.tell(err)
	}
	return err
}

// entity replays an entity's events, compares what they lead to with what is
// stored, and gives each to f. Without a fault it returns the proof.
func (c *check) entity(ctx context.Context, k storage.EntityKey, f func(*event.Event) error) (proof, error) {
	name := k.Collection + " " + k.Entity.String()
	stored, err := c.snap.State(ctx, k.Collection, k.Entity)
	if err != nil {
		return proof{}, c.pass(err)
	}
	var s *entity.State
	n := uint64(0)
	history := sha256.New()
	for e, err := range c.snap.Events(ctx, k.Collection, k.Entity, 0, math.MaxUint64) {
		if err != nil {
			return proof{}, c.pass(err)
		}
		n++
		c.events++
		at := name + ", event " + e.ID.String() + " at rev " + strconv.FormatUint(n, 10)
		if err := c.position(ctx, at, e, n); err != nil {
			return proof{}, err
		}
		if why := misplaced(e, k, c.root); why != "" {
			return proof{}, c.damage(at, why)
		}
		for _, p := range e.Parents {
			if s.Head().Contains(p) {
				continue
			}
			pos, ok, err := c.snap.Find(ctx, p)
			if err != nil {
				if err := c.pass(err); err != nil {
					return proof{}, err
				}
				continue
			}
			if !ok || pos.Entity != k.Entity || pos.Rev >= n {
				if err := c.damage(at, "its parent "+p.String()+" is not among the events before it"); err != nil {
					return proof{}, err
				}
			}
		}
		if err := c.recorded(ctx, at, e.Tx); err != nil {
			return proof{}, err
		}
		if s, err = s.Apply(c.kinds, e); err != nil {
			return proof{}, c.unfit(at, err)
		}
		c.clock = max(c.clock, e.Stamp)
		history.Write(e.Digest[:])
		if err := f(e); err != nil {
			return proof{}, err
		}
	}
	if why := differs(stored, s); why != "" {
		return proof{}, c.damage("state of "+name, why)
	}
	p := proof{rev: n, state: sha256.Sum256(s.Append(nil))}
	history.Sum(p.history[:0])
	return p, nil
}

// position finds an event that is at rev n where Find looks for it.
func (c *check) position(ctx context.Context, at string, e *event.Event, n uint64) error {
	if c.placed {
		return nil
	}
	pos, ok, err := c.snap.Find(ctx, e.ID)
	if err != nil {
		return c.pass(err)
	}
	if !ok || pos != (storage.Position{Collection: e.Collection, Entity: e.Entity, Rev: n}) {
		return c.damage(at, "its position says otherwise")
	}
	return nil
}

// unfit tells an event that cannot be applied from one that this program does
// not know how to.
func (c *check) unfit(at string, err error) error {
	if errors.Is(err, property.ErrUnknownKind) {
		return err
	}
	return c.tell(&storage.CorruptError{What: at, Err: err})
}

// misplaced returns why an event cannot be one of an entity, "" when it can.
func misplaced(e *event.Event, k storage.EntityKey, root id.ID) string {
	switch {
	case e.Entity != k.Entity || e.Collection != k.Collection:
		return "it is of " + e.Collection + " " + e.Entity.String()
	case e.Root != root && !(e.Root.IsZero() && e.Entity == root):
		return "it is of another system"
	}
	return ""
}

// recorded finds the record of an event's transaction: without it a client that
// sends the transaction again would not be told that it is known (S27).
func (c *check) recorded(ctx context.Context, at string, tx event.TxID) error {
	if tx == c.tx {
		return nil
	}
	_, ok, err := c.snap.Tx(ctx, tx)
	if err != nil {
		return c.pass(err)
	}
	if !ok {
		return c.damage(at, "there is no record of its transaction "+tx.String())
	}
	c.tx = tx
	return nil
}

// isFence reports whether a record says that a transaction was refused.
func isFence(r storage.TxRecord) bool {
	f, err := book.DecodeFence(r.Record)
	return f != nil && err == nil
}

// record holds a transaction's record against the histories, and returns how
// many events it speaks of.
func (c *check) record(ctx context.Context, r storage.TxRecord) (uint64, error) {
	n, why, err := recorded(ctx, c.snap, r)
	if err != nil {
		return 0, c.pass(err)
	}
	if why != "" {
		return n, c.damage("record of transaction "+r.Tx.String(), why)
	}
	return n, nil
}

// recorded returns how many events the record of a transaction speaks of, and
// what is wrong with it, "" for nothing.
func recorded(ctx context.Context, snap storage.Snapshot, r storage.TxRecord) (n uint64, why string, err error) {
	touched, err := book.DecodeRecord(r.Record)
	if err != nil {
		return 0, err.Error(), nil
	}
	for _, t := range touched {
		at := t.Collection + " " + t.Entity.String() + " at revs " + strconv.FormatUint(t.First, 10) + " to " + strconv.FormatUint(t.Last, 10)
		if t.First == 0 || t.First > t.Last {
			return n, "it names " + at, nil
		}
		rev := t.First
		for e, err := range snap.Events(ctx, t.Collection, t.Entity, t.First, t.Last) {
			if err != nil {
				return n, "", err
			}
			if e.Tx != r.Tx || e.Collection != t.Collection {
				return n, "it names " + at + ", which is not all of it", nil
			}
			rev++
		}
		if rev != t.Last+1 {
			return n, "it names " + at + ", which is not there", nil
		}
		n += t.Last - t.First + 1
	}
	return n, "", nil
}

// differs returns in what a stored state is not what its events lead to, "" in
// nothing.
func differs(stored, want *entity.State) string {
	switch {
	case stored == nil && want == nil:
		return "there are neither a state nor events"
	case stored == nil:
		return "it is missing"
	case want == nil:
		return "it has no events"
	case stored.Rev() != want.Rev():
		return "it has rev " + strconv.FormatUint(stored.Rev(), 10) + ", its events lead to rev " + strconv.FormatUint(want.Rev(), 10)
	case !stored.Head().Equal(want.Head()):
		return "its head is not that of its events"
	case bytes.Equal(stored.Append(nil), want.Append(nil)):
		return ""
	}
	if keys := entity.Changed(stored, want); len(keys) > 0 {
		return "its events lead to another " + strings.Join(keys, ", ")
	}
	return "its events lead to another one"
}
