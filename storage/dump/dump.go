package dump

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/storage"
)

// left are the bookkeeping keys that are of one store and not of what it holds.
var left = map[string]bool{book.Node: true, book.Epoch: true, book.Copied: true}

// Write writes what a durable store holds as of now. It refuses a store that
// does not agree with itself: what it has written until then has no end, and
// cannot be restored.
func Write(ctx context.Context, e storage.Engine, w io.Writer, opts *Options) (counts Counts, err error) {
	o := opts.orDefault()
	snap, err := listed(e)
	if err != nil {
		return counts, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	c := &check{snap: snap, kinds: o.Kinds, fault: func(err error) error { return err }}
	if err := c.open(ctx, e.Info().Location); err != nil {
		return counts, err
	}
	out, err := newWriter(w)
	if err == nil {
		err = out.record(&record{kind: kHead, root: c.root})
	}
	if err != nil {
		return counts, err
	}
	var collections []string
	for m, err := range snap.MetaRange(ctx, nil, nil) {
		if err != nil {
			return counts, err
		}
		if left[string(m.Key)] {
			continue
		}
		if name, ok := strings.CutPrefix(string(m.Key), book.Catalog); ok {
			name, _, _ = strings.Cut(name, "\x00") // behind it is which of several records it is
			if len(collections) == 0 || collections[len(collections)-1] != name {
				collections = append(collections, name)
			}
		}
		counts.Meta++
		if err := out.record(&record{kind: kMeta, meta: m}); err != nil {
			return counts, err
		}
	}
	if err := writeIndexes(ctx, e, snap, collections, out, &counts); err != nil {
		return counts, err
	}
	if err := writeEntities(ctx, c, out, &o, &counts); err != nil {
		return counts, err
	}
	recorded := uint64(0)
	for r, err := range snap.Txs(ctx) {
		if err != nil {
			return counts, err
		}
		if isFence(r) {
			continue // what is restored is a store that no process has open
		}
		n, err := c.record(ctx, r)
		if err != nil {
			return counts, err
		}
		recorded += n
		counts.Transactions++
		if err := out.record(&record{kind: kTx, tx: r}); err != nil {
			return counts, err
		}
	}
	if recorded != counts.Events {
		return counts, errUnrecorded(recorded, counts.Events)
	}
	for claim, err := range snap.Claims(ctx) {
		if err != nil {
			return counts, err
		}
		counts.Claims++
		if err := out.record(&record{kind: kClaim, claim: claim}); err != nil {
			return counts, err
		}
	}
	return counts, out.end(counts)
}

func writeIndexes(ctx context.Context, e storage.Engine, snap storage.Snapshot, declared []string, out *writer, counts *Counts) error {
	ix, ok := e.(storage.Indexer)
	if !ok {
		return nil
	}
	names, err := snap.Collections(ctx)
	if err != nil {
		return err
	}
	names = append(names, declared...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, x := range ix.Indexes(name) {
			counts.Indexes++
			if err := out.record(&record{kind: kIndex, index: index{name, x}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeEntities(ctx context.Context, c *check, out *writer, o *Options, counts *Counts) error {
	total, err := c.total(ctx, o)
	if err != nil {
		return err
	}
	for k, err := range c.snap.Entities(ctx) {
		if err == nil {
			err = out.record(&record{kind: kEntity, entity: k})
		}
		if err != nil {
			return err
		}
		p, err := c.entity(ctx, k, func(e *event.Event) error {
			return out.record(&record{kind: kEvent, event: e})
		})
		if err == nil {
			err = out.record(&record{kind: kState, state: p})
		}
		if err != nil {
			return err
		}
		counts.Entities++
		counts.Events = c.events
		if o.Progress != nil && counts.Entities%every == 0 {
			o.Progress(Progress{counts.Entities, max(total, counts.Entities), out.n})
		}
	}
	if o.Progress != nil {
		o.Progress(Progress{counts.Entities, counts.Entities, out.n})
	}
	return nil
}
