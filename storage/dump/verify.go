package dump

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/storage"
)

// Verify has the engine check its records, if it can ([storage.Checker]), and
// replays all events of all entities and compares what they lead to with what is
// stored: states, heads, revs, positions of events, records of transactions and
// the clock. Every difference goes once to opts.Damage as an error that wraps
// [storage.ErrCorrupt]. The error that Verify returns says how many there were;
// any other is about something else that kept it from going on.
func Verify(ctx context.Context, e storage.Engine, opts *Options) (counts Counts, err error) {
	o := opts.orDefault()
	snap, err := listed(e)
	if err != nil {
		return counts, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	f := &faults{tell: o.Damage}
	c := &check{snap: snap, kinds: o.Kinds, fault: f.add}
	location := e.Info().Location
	opening := c.open(ctx, location)
	if opening != nil && !errors.Is(opening, ErrEmpty) && !storage.IsCorrupt(opening) {
		return counts, opening
	}
	if k, ok := snap.(storage.Checker); ok {
		for err := range k.Check(ctx) {
			if err := c.pass(err); err != nil {
				return counts, err
			}
		}
		c.placed = true
	}
	if storage.IsCorrupt(opening) {
		opening = c.fault(opening)
	} else if opening == nil {
		opening = c.run(ctx, &o, &counts)
	}
	if f.n > 0 {
		return counts, &storage.CorruptError{What: location, Err: fmt.Errorf("%s found", plural(f.n, "difference"))}
	}
	return counts, opening
}

// run holds the histories against everything else.
func (c *check) run(ctx context.Context, o *Options, counts *Counts) error {
	for _, step := range []func(context.Context, *Options, *Counts) error{c.verifyEntities, c.verifyHistories, c.verifyTxs, c.verifyClaims, c.verifyClock} {
		if err := c.pass(step(ctx, o, counts)); err != nil {
			return err
		}
	}
	return nil
}

// maxNamed bounds how many differences are remembered.
const maxNamed = 1 << 12

// faults counts differences. What several readers meet is told once.
type faults struct {
	n     int
	named map[string]bool
	tell  func(error)
}

func (f *faults) add(err error) error {
	text := err.Error()
	if f.named[text] {
		return nil
	}
	if f.named == nil {
		f.named = map[string]bool{}
	}
	if len(f.named) < maxNamed {
		f.named[text] = true
	}
	f.n++
	if f.tell != nil {
		f.tell(err)
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (c *check) verifyEntities(ctx context.Context, o *Options, counts *Counts) error {
	total, err := c.total(ctx, o)
	if err != nil {
		return err
	}
	for k, err := range c.snap.Entities(ctx) {
		if err != nil {
			if err := c.pass(err); err != nil {
				return err
			}
			continue
		}
		if _, err := c.entity(ctx, k, func(*event.Event) error { return nil }); err != nil {
			return err
		}
		if counts.Entities++; o.Progress != nil && counts.Entities%every == 0 {
			o.Progress(Progress{Entities: counts.Entities, Of: max(total, counts.Entities)})
		}
	}
	counts.Events = c.events
	if o.Progress != nil {
		o.Progress(Progress{Entities: counts.Entities, Of: counts.Entities})
	}
	return nil
}

// verifyHistories finds events of entities that have no state.
func (c *check) verifyHistories(ctx context.Context, _ *Options, counts *Counts) error {
	n := uint64(0)
	for _, err := range c.snap.Histories(ctx) {
		if err != nil {
			return err
		}
		n++
	}
	if n <= counts.Entities {
		return nil
	}
	names, err := c.snap.Collections(ctx)
	if err != nil {
		return err
	}
	for i, err := range c.snap.Histories(ctx) {
		if err != nil {
			return err
		}
		if err := c.verifyHistory(ctx, names, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) verifyHistory(ctx context.Context, names []string, i id.ID) error {
	for _, name := range names {
		if s, err := c.snap.State(ctx, name, i); s != nil || err != nil {
			return nil // a damaged one was reported
		}
	}
	return c.damage("state of "+i.String(), "it is missing, and there are events")
}

func (c *check) verifyTxs(ctx context.Context, _ *Options, counts *Counts) error {
	recorded := uint64(0)
	for r, err := range c.snap.Txs(ctx) {
		if err != nil {
			if err := c.pass(err); err != nil {
				return err
			}
			continue
		}
		if isFence(r) {
			continue
		}
		counts.Transactions++
		n, err := c.record(ctx, r)
		if err != nil {
			return err
		}
		recorded += n
	}
	if recorded != counts.Events && !c.faulty {
		return errUnrecorded(recorded, counts.Events)
	}
	return nil
}

func errUnrecorded(recorded, events uint64) error {
	return &storage.CorruptError{What: "records of transactions", Err: fmt.Errorf("they name %d events, and there are %d", recorded, events)}
}

func (c *check) verifyClaims(ctx context.Context, _ *Options, counts *Counts) error {
	for _, err := range c.snap.Claims(ctx) {
		if err := c.pass(err); err != nil {
			return err
		}
		counts.Claims++
	}
	return nil
}

// verifyClock finds a clock that would make IDs less than those there are (S3).
func (c *check) verifyClock(ctx context.Context, _ *Options, _ *Counts) error {
	b, ok, err := c.snap.Meta(ctx, []byte(book.Clock))
	switch {
	case err != nil:
		return err
	case !ok || len(b) != 8:
		return c.damage("meta record "+book.Clock, "it does not have 8 bytes")
	}
	clock := id.Stamp(binary.BigEndian.Uint64(b))
	lo, hi := book.PositionRange()
	for w, err := range c.snap.MetaRange(ctx, lo, hi) {
		if err != nil {
			return err
		}
		if string(w.Key) == book.Trimmed {
			if _, err := book.DecodeTrim(w.Value); err != nil {
				return c.damage("meta record "+strconv.QuoteToASCII(book.Trimmed), err.Error())
			}
			continue
		}
		p, err := book.DecodeProgress(w.Key, w.Value)
		if err != nil {
			return c.damage("meta record "+strconv.QuoteToASCII(string(w.Key)), err.Error())
		}
		clock = max(clock, p.Clock)
	}
	if clock < c.clock {
		return c.damage("meta record "+book.Clock, "there are later events")
	}
	return nil
}
