package core

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Sink receives what happens to a live query. Its methods are called under the
// core's lock, in commit order; they must only hand on the news.
type Sink interface {
	// Ready says that the first rows are there.
	Ready()
	// Changed hands over what one or, when the window lacked rows, several
	// whole commits did.
	Changed(changes []rowChange)
	// Failed ends the query.
	Failed(err error)
	// Synced says whether the rows are what a durable node says they are. It is
	// called on ephemeral nodes only.
	Synced(synced bool)
}

// Query is a registered live query.
type Query struct {
	n         uint64 // which one it is
	rq        *reactor.Query
	sink      Sink
	allow     func(*entity.State) bool
	ready     bool // the sink has its first rows
	hydrating bool
	reading   int                // which hydration is under way; what overtaken ones read is dropped
	buffer    [][]reactor.Change // commits since the snapshot that is being read
	waiting   []func()           // to be called when another selection is there, those for overtaken ones too
	short     bool               // waits for rows
	closed    bool
	remote    *remote // of an ephemeral node: what it is to the server
}

// Rows returns the query's rows; the slice is the caller's.
func (q *Query) Rows() []*entity.State { return q.rq.Rows() }

// Selection returns what the query selects, narrowed by policy.
func (q *Query) Selection() *ankql.Selection { return q.rq.Selection() }

// Narrow returns sel narrowed to what p may read, and the check that remains
// for each entity, nil for none. It may be called at any time.
func (c *Core) Narrow(sel *ankql.Selection, p policy.Principal) (_ *ankql.Selection, allow func(*entity.State) bool, err error) {
	if c.cfg.Policy == nil {
		return sel, nil, nil
	}
	defer func() {
		if c.panicked("the policy agent", recover()) {
			err = &policy.DeniedError{Subject: p.Subject, Collection: sel.Collection, Rule: "the policy agent panicked"}
		}
	}()
	filter, err := c.cfg.Policy.ReadFilter(p, sel.Collection)
	switch {
	case errors.Is(err, policy.ErrDenied):
		filter = &ankql.Literal{Value: value.Bool(false)} // absence, not an error (S60)
	case err != nil:
		return nil, nil, err
	case filter != nil:
		if filter, err = policy.BindFilter(filter, c.Model(sel.Collection), sel.Collection); err != nil {
			return nil, nil, err
		}
	}
	if filter != nil {
		narrowed := *sel
		narrowed.Where = ankql.And(sel.Where, filter)
		sel = &narrowed
	}
	if r, ok := c.cfg.Policy.(policy.EntityReader); ok {
		allow = func(s *entity.State) (ok bool) {
			defer func() {
				if c.panicked("the policy agent", recover()) {
					ok = false
				}
			}()
			return r.CheckRead(p, s) == nil
		}
	}
	return sel, allow, nil
}

// Readable reports whether p may read s. It may be called at any time.
func (c *Core) Readable(s *entity.State, p policy.Principal) (bool, error) {
	sel, allow, err := c.Narrow(&ankql.Selection{Collection: s.Collection(), Limit: -1}, p)
	if err != nil {
		return false, err
	}
	return sel.Match(s) && (allow == nil || allow(s)), nil
}

// Collect reads the allowed rows of a selection from a snapshot.
func Collect(ctx context.Context, snap storage.Snapshot, sel *ankql.Selection, allow func(*entity.State) bool) ([]*entity.State, error) {
	var rows []*entity.State
	for s, err := range Rows(ctx, snap, sel, allow) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, s)
	}
	return rows, nil
}

// Rows walks the allowed rows of a selection. The limit counts allowed rows.
func Rows(ctx context.Context, snap storage.Snapshot, sel *ankql.Selection, allow func(*entity.State) bool) func(func(*entity.State, error) bool) {
	if allow == nil {
		return snap.Scan(ctx, sel)
	}
	return func(yield func(*entity.State, error) bool) {
		open := *sel
		open.Limit = -1
		n := 0
		if sel.Limit == 0 {
			return
		}
		for s, err := range snap.Scan(ctx, &open) {
			if err == nil && !allow(s) {
				continue
			}
			if !yield(s, err) || err != nil {
				return
			}
			if n++; n == sel.Limit {
				return
			}
		}
	}
}

// Subscribe registers a live query over a narrowed selection. Its rows are
// read beside the core; sink.Ready follows.
func (c *Core) Subscribe(sel *ankql.Selection, allow func(*entity.State) bool, sink Sink) *Query {
	c.serial++
	q := &Query{n: c.serial, rq: reactor.NewQuery(sel, allow), allow: allow, sink: sink}
	c.queries[q] = struct{}{}
	c.hydrate(q, q.rq, allow)
	return q
}

func (c *Core) register(q *Query) {
	c.reactor.Add(q.rq)
	c.byReactor[q.rq] = q
}

func (c *Core) unregister(q *Query) {
	c.reactor.Remove(q.rq)
	delete(c.byReactor, q.rq)
}

// hydrate reads the rows of rq from the published snapshot, applies what was
// committed meanwhile, and makes them those of q.
func (c *Core) hydrate(q *Query, rq *reactor.Query, allow func(*entity.State) bool) {
	snap, err := c.Current()
	if err != nil {
		c.failQuery(q, err)
		return
	}
	q.hydrating, q.buffer = true, nil
	q.reading++
	reading := q.reading
	var rows []*entity.State
	c.ex.Read(func(ctx context.Context) (err error) {
		rows, err = Collect(ctx, snap, rq.Hydrate(), allow)
		return err
	}, func(err error) {
		snap.Release()
		c.whenWhole(func() {
			switch {
			case q.closed || q.reading != reading: // overtaken by another change of selection
			case err != nil:
				c.failQuery(q, err)
			default:
				c.hydrated(q, rq, allow, rows)
			}
		})
	})
}

func (c *Core) hydrated(q *Query, rq *reactor.Query, allow func(*entity.State) bool, rows []*entity.State) {
	rq.Reset(rows)
	for _, commit := range q.buffer {
		rq.Apply(reactor.In(commit, rq.Selection().Collection))
	}
	if rq.Short() != nil {
		c.hydrate(q, rq, allow)
		return
	}
	rq.Take()
	q.hydrating, q.buffer = false, nil
	old := q.rq
	c.unregister(q)
	q.rq, q.allow = rq, allow
	c.register(q)
	if q.remote != nil {
		c.unfollow(q)
		c.setSynced(q, false)
		c.Follow(q)
	}
	if !q.ready {
		q.ready = true
		q.sink.Ready()
	} else if changes := rq.Replace(old); len(changes) > 0 {
		q.sink.Changed(changes)
	}
	q.done()
}

// SetSelection replaces what a live query selects and reports the difference
// as one change (S54). done is called when the new rows are there.
func (c *Core) SetSelection(q *Query, sel *ankql.Selection, allow func(*entity.State) bool, done func()) {
	if q.closed {
		done()
		return
	}
	q.waiting = append(q.waiting, done)
	c.hydrate(q, reactor.NewQuery(sel, allow), allow)
}

// done tells those who wait for a change of selection.
func (q *Query) done() {
	waiting := q.waiting
	q.waiting = nil
	for _, done := range waiting {
		done()
	}
}

// Unsubscribe ends a live query; its sink hears nothing more.
func (c *Core) Unsubscribe(q *Query) {
	if q.closed {
		return
	}
	q.closed = true
	c.unfollow(q)
	c.unregister(q)
	delete(c.queries, q)
	q.done()
}

func (c *Core) failQuery(q *Query, err error) {
	if q.closed {
		return
	}
	c.Unsubscribe(q)
	q.sink.Failed(err)
}

type rowChange = reactor.RowChange
