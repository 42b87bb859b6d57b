package core

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
)

// AggregateSink receives what happens to a live aggregate, as a [Sink] does of
// a live query.
type AggregateSink interface {
	// Ready says that the first groups are there.
	Ready()
	// Changed hands over what one or several whole commits did. A group may be
	// what it was.
	Changed(changes []agg.Change)
	// Failed ends the aggregate.
	Failed(err error)
	// Synced says whether the groups are what a durable node says they are. It
	// is called on ephemeral nodes only.
	Synced(synced bool)
}

// Aggregate is a registered live aggregate.
type Aggregate struct {
	n       uint64 // which one it is
	a       *ankql.Aggregation
	sink    AggregateSink
	res     *aggregateResult // what it shows, nil before the first groups are there
	next    *aggregateResult // what it will show, nil when that is not being read
	waiting []func()         // to be called when next is there, those for overtaken ones too
	closed  bool
	remote  *remoteAggregate // of an ephemeral node: what it is to the server
}

// aggregateResult is a maintained result, which several aggregates may show.
type aggregateResult struct {
	key     string // of those that may be shared, "" of others
	a       *ankql.Aggregation
	allow   func(*entity.State) bool
	ra      *reactor.Aggregate
	was     *agg.Table   // in whose place ra's came and was not told yet, nil for none
	shown   []*Aggregate // by whom, in the order in which they came; the slice never changes
	joining []*Aggregate // who will show it when it is read
	reading bool
	buffer  [][]reactor.Change // what commits since the snapshot did to the collection
	gone    bool               // nobody shows it
	offered uint64             // changes that it evaluated
	touched uint64             // commits that changed it
	changed uint64             // when one did last, in milliseconds since the Unix epoch
}

// NarrowAggregate is [Core.Narrow] of an aggregate selection: who may not read
// a row does not have it counted (S38, S60).
func (c *Core) NarrowAggregate(a *ankql.Aggregation, p policy.Principal) (*ankql.Aggregation, func(*entity.State) bool, error) {
	rows, allow, err := c.Narrow(a.Rows, p)
	if err != nil {
		return nil, nil, err
	}
	narrowed := *a
	narrowed.Rows = rows
	return &narrowed, allow, nil
}

// Groups computes a narrowed aggregate selection from a snapshot. It may block
// and is called at any time.
func Groups(ctx context.Context, snap *Snap, a *ankql.Aggregation, allow func(*entity.State) bool) (*agg.Table, error) {
	t := agg.New(a)
	if allow == nil && t.Countable() {
		n, err := snap.Count(ctx, a.Rows)
		t.Count(n)
		return t, err
	}
	for s, err := range Rows(ctx, snap, a.Rows, allow) {
		if err != nil {
			return nil, err
		}
		t.Add(s)
	}
	return t, nil
}

// SubscribeAggregate registers a live aggregate over a narrowed selection, which
// [Core.StartAggregate] gives groups.
func (c *Core) SubscribeAggregate(a *ankql.Aggregation, allow func(*entity.State) bool, sink AggregateSink) *Aggregate {
	c.serial++
	q := &Aggregate{n: c.serial, a: a, sink: sink}
	c.aggregates[q] = struct{}{}
	if !c.cfg.Durable {
		q.remote = &remoteAggregate{}
	}
	c.await(q, c.aggregateResult(a, allow))
	return q
}

// StartAggregate reads the groups beside the core, unless another aggregate has
// them already; sink.Ready follows, perhaps before StartAggregate returns.
func (c *Core) StartAggregate(q *Aggregate) {
	switch r := q.next; {
	case r.reading:
	case len(r.shown) > 0:
		c.whenWhole(func() { c.joinAggregate(r) })
	default:
		c.readAggregate(r)
	}
}

// aggregateResult returns the result of a selection: one that is there or is
// being read, if it may be shared, or a new one.
func (c *Core) aggregateResult(a *ankql.Aggregation, allow func(*entity.State) bool) *aggregateResult {
	r := &aggregateResult{a: a, allow: allow}
	if c.cfg.Durable && allow == nil { // who may see what is in the selection
		if r.key = a.Key(); c.sharedAggregates[r.key] != nil {
			return c.sharedAggregates[r.key]
		}
		c.sharedAggregates[r.key] = r
	}
	name := a.Rows.Collection
	c.aggregateResults[name] = append(slices.Clip(c.aggregateResults[name]), r)
	return r
}

// await makes r what q will show, in place of what it was to show before.
func (c *Core) await(q *Aggregate, r *aggregateResult) {
	overtaken := q.next
	q.next = r
	r.joining = append(r.joining, q)
	if overtaken != nil {
		c.leaveAggregate(q, overtaken, r)
	}
}

// leaveAggregate ends that q shows r, or waits to, unless r is what it stays
// with.
func (c *Core) leaveAggregate(q *Aggregate, r, stays *aggregateResult) {
	if r == stays {
		return
	}
	is := func(o *Aggregate) bool { return o == q }
	r.shown = slices.DeleteFunc(slices.Clone(r.shown), is)
	r.joining = slices.DeleteFunc(r.joining, is)
	if r.gone || len(r.shown)+len(r.joining) > 0 {
		return
	}
	r.gone = true
	if r.key != "" {
		delete(c.sharedAggregates, r.key)
	}
	name := r.a.Rows.Collection
	rest := slices.DeleteFunc(slices.Clone(c.aggregateResults[name]), func(o *aggregateResult) bool { return o == r })
	if c.aggregateResults[name] = rest; len(rest) == 0 {
		delete(c.aggregateResults, name)
	}
}

// readAggregate computes a result from the published snapshot, applies what was
// committed meanwhile, and shows it.
func (c *Core) readAggregate(r *aggregateResult) {
	snap, err := c.Latest()
	if err != nil {
		c.failAggregates(r, err)
		return
	}
	r.reading, r.buffer, r.ra = true, nil, reactor.NewAggregate(r.a, r.allow)
	c.ex.Read(func(ctx context.Context) error {
		return r.ra.Reset(Rows(ctx, snap, r.a.Rows, r.allow))
	}, func(err error) {
		snap.Release()
		c.whenWhole(func() {
			switch {
			case r.gone:
			case c.again(err, snap, func() { c.readAggregate(r) }):
			case err != nil:
				c.failAggregates(r, err)
			default:
				for _, changes := range r.buffer {
					r.ra.Apply(changes)
				}
				r.ra.Take() // the beginning is no change
				r.reading, r.buffer = false, nil
				c.joinAggregate(r)
			}
		})
	})
}

// joinAggregate lets those show a result who have waited for it.
func (c *Core) joinAggregate(r *aggregateResult) {
	joining := r.joining
	r.joining = nil
	for _, q := range joining {
		c.showAggregate(q, r)
	}
}

// showAggregate makes r what q shows.
func (c *Core) showAggregate(q *Aggregate, r *aggregateResult) {
	old := q.res
	q.res, q.next = r, nil
	if old != r {
		r.shown = append(slices.Clip(r.shown), q)
	}
	switch {
	case old == nil:
		q.sink.Ready()
		c.followAggregate(q)
	case old != r:
		if changes := r.ra.Table().Diff(old.ra.Table()); len(changes) > 0 {
			q.sink.Changed(changes)
		}
		c.leaveAggregate(q, old, nil)
	}
	q.done()
}

// done tells those who wait for another selection.
func (q *Aggregate) done() {
	waiting := q.waiting
	q.waiting = nil
	for _, done := range waiting {
		done()
	}
}

// setAggregation replaces what a live aggregate is computed of, such as after a
// change of policy. done is called when the groups are there.
func (c *Core) setAggregation(q *Aggregate, a *ankql.Aggregation, allow func(*entity.State) bool, done func()) {
	q.a = a
	q.waiting = append(q.waiting, done)
	c.await(q, c.aggregateResult(a, allow))
	c.StartAggregate(q)
}

// UnsubscribeAggregate ends a live aggregate; its sink hears nothing more.
func (c *Core) UnsubscribeAggregate(q *Aggregate) {
	if q.closed {
		return
	}
	q.closed = true
	c.unfollowAggregate(q)
	delete(c.aggregates, q)
	if q.res != nil {
		c.leaveAggregate(q, q.res, nil)
	}
	if q.next != nil {
		c.leaveAggregate(q, q.next, nil)
	}
	q.done()
}

func (c *Core) failAggregate(q *Aggregate, err error) {
	if q.closed {
		return
	}
	c.UnsubscribeAggregate(q)
	q.sink.Failed(err)
}

func (c *Core) failAggregates(r *aggregateResult, err error) {
	for _, q := range slices.Concat(r.shown, r.joining) {
		c.failAggregate(q, err)
	}
}

// Groups returns the groups in their order; the slice is the caller's.
func (q *Aggregate) Groups() []ankql.Group {
	if q.res == nil {
		return nil
	}
	return q.Table().Groups()
}

// Table returns the groups, which change with every commit. There are none
// before sink.Ready.
func (q *Aggregate) Table() *agg.Table { return q.res.ra.Table() }

func (c *Core) aggregatesInOrder() []*Aggregate {
	return slices.SortedFunc(maps.Keys(c.aggregates), func(a, b *Aggregate) int { return cmp.Compare(a.n, b.n) })
}

// applyAggregates brings live aggregates up to a published transaction.
func (c *Core) applyAggregates(t *tx) {
	if len(c.aggregates) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.aggregateResults)) {
		changes := reactor.In(t.changes, name)
		if len(changes) == 0 && t.req.move == nil {
			continue
		}
		for _, r := range c.aggregateResults[name] {
			switch {
			case r.gone:
			case r.reading:
				r.buffer = append(r.buffer, changes)
			default:
				c.applyAggregate(r, t, changes)
			}
		}
	}
}

func (c *Core) applyAggregate(r *aggregateResult, t *tx, changes []reactor.Change) {
	if c.cfg.Durable {
		r.ra.Apply(changes)
	} else { // it is of one aggregate
		q := r.shown[0]
		if !q.remote.based {
			r.ra.Apply(changes)
		}
		c.applyResults(q, t)
	}
	r.offered += uint64(len(changes))
	told := r.ra.Take()
	if r.was != nil {
		told = r.ra.Table().Diff(r.was)
		r.was = nil
	}
	if len(told) == 0 {
		return
	}
	r.touched, r.changed = r.touched+1, c.ex.Now()
	for _, q := range r.shown {
		if !q.closed {
			q.sink.Changed(told)
		}
	}
}

// cover is an entity with pending events, or one that has none any more.
type cover struct {
	collection string
	entity     id.ID
	pending    bool
	base       *entity.State // what a durable node has, as far as it is known here
	visible    *entity.State
}

// remoteAggregate is what a live aggregate of an ephemeral node is to its
// server.
//
// The groups are the server's. What pending events do to them is added: of each
// entity with pending events the values of its base are taken away and the
// visible ones are added. So COUNT, SUM and AVG are right as long as the base is
// what the server has counted; it may have counted a newer one, which evens out
// when the transaction is acknowledged. MIN and MAX get to know the visible
// values, while a value that a pending event has changed stays until the server
// says what follows it. With LIMIT pending events change the groups that the
// server names, and bring in no others.
//
// Before the server has said anything the groups are those of the rows here.
type remoteAggregate struct {
	id      uint64
	synced  bool
	based   bool // the groups are the server's
	covered map[id.ID]covered
}

// covered is what an entity with pending events does to the groups; nil where
// it is not among their rows.
type covered struct{ before, after *entity.State }

// Synced reports whether the groups are what a durable node says they are,
// apart from pending edits.
func (q *Aggregate) Synced() bool { return q.remote == nil || q.remote.synced }

func (c *Core) setAggregateSynced(q *Aggregate, synced bool) {
	if q.remote == nil || q.closed || q.remote.synced == synced {
		return
	}
	q.remote.synced = synced
	q.sink.Synced(synced)
}

// followAggregate makes a live aggregate one of the server's too.
func (c *Core) followAggregate(q *Aggregate) {
	if q.remote != nil && c.Connected() && !q.closed {
		c.link.followAggregate(q)
	}
}

func (c *Core) unfollowAggregate(q *Aggregate) {
	if q.remote == nil || c.link == nil || q.remote.id == 0 {
		return
	}
	if r := c.link.requests[q.remote.id]; r != nil && r.aggregate == q {
		delete(c.link.requests, q.remote.id)
		c.send(&c.link.Conn, &wire.Cancel{ID: q.remote.id})
	}
	q.remote.id = 0
}

// resultMove is what the server says of a live aggregate's groups; with all set
// there are no others.
type resultMove struct {
	q      *Aggregate
	id     uint64
	all    bool
	groups []wire.Group
}

// current reports whether the live aggregate is still that which was asked.
func (m *resultMove) current() bool { return !m.q.closed && m.q.remote.id == m.id }

// applyResults takes the server's groups and what pending events do to them.
func (c *Core) applyResults(q *Aggregate, t *tx) {
	r := q.remote
	if m := t.req.move; m != nil {
		for k := range m.results {
			x := &m.results[k]
			if x.q != q || !x.current() || !r.based && !x.all {
				continue
			}
			if err := c.takeGroups(q, x); err != nil {
				c.failAggregate(q, &malformedChange{err})
				return
			}
		}
	}
	if r.based {
		for k := range t.covers {
			if x := &t.covers[k]; x.collection == q.a.Rows.Collection {
				q.cover(x)
			}
		}
	}
}

func (c *Core) takeGroups(q *Aggregate, x *resultMove) error {
	r := q.remote
	if !r.based {
		q.res.was = q.Table()
		q.res.ra = reactor.NewAggregate(q.a, nil)
		q.Table().Based()
		r.based, r.covered = true, map[id.ID]covered{}
		for _, i := range slices.SortedFunc(slices.Values(c.PendingIn(q.a.Rows.Collection)), id.ID.Compare) {
			p := c.pends[i]
			q.cover(&cover{q.a.Rows.Collection, i, true, p.base, c.visible(p.base, p.events)})
		}
	}
	table := q.Table()
	if x.all {
		table.Clear()
	}
	return putGroups(table, x.groups)
}

// cover lets an entity with pending events stand in the groups as it is here,
// or as the server has it when none are pending any more.
func (q *Aggregate) cover(x *cover) {
	r, table := q.remote, q.Table()
	if old, is := r.covered[x.entity]; is {
		table.Uncover(old.rows())
		delete(r.covered, x.entity)
	}
	now := covered{q.row(x.base), q.row(x.visible)}
	if !x.pending || now.before == nil && now.after == nil {
		return
	}
	r.covered[x.entity] = now
	table.Cover(now.rows())
}

// rows returns what agg takes: no typed nil.
func (x covered) rows() (before, after ankql.Row) {
	if x.before != nil {
		before = x.before
	}
	if x.after != nil {
		after = x.after
	}
	return before, after
}

// row returns s if it is one of the aggregate's rows.
func (q *Aggregate) row(s *entity.State) *entity.State {
	if s == nil || !s.Exists() || !q.a.Rows.Match(s) {
		return nil
	}
	return s
}

// maxGroup bounds the encoding of one group, so that it fits into a message.
const maxGroup = 4 << 20

var errGroupSize = &linkError{"a group takes more than " + strconv.Itoa(maxGroup>>20) + " MB: its values are too long to be sent", ErrTooLarge}
