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
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/internal/wire"
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
	remote  *remoteAggregate   // of an ephemeral node, and no links: what it is to the server
	asked   *ankql.Aggregation // of a session: before it was narrowed, nil where that changed nothing
}

// aggregateResult is a maintained result, which several aggregates may show.
type aggregateResult struct {
	key     string // of those that may be shared, "" of others
	a       *ankql.Aggregation
	allow   func(*entity.State) bool
	ra      *reactor.Aggregate
	rows    *aggregatedRows // of a selection with links: what it counts
	was     *agg.Table      // in whose place ra's came and was not told yet, nil for none
	shown   []*Aggregate    // by whom, in the order in which they came; the slice never changes
	joining []*Aggregate    // who will show it when it is read
	reading bool
	ready   bool               // it has been read, and is kept up to date
	held    bool               // it is a copy that stays as it is, of one live aggregate
	buffer  [][]reactor.Change // what commits since the snapshot did to the collection
	gone    bool               // nobody shows it
	touched uint64             // commits that changed it
	changed uint64             // when one did last, in milliseconds since the Unix epoch
}

// Groups computes a narrowed aggregate selection from a snapshot. It may block
// and is called at any time.
func Groups(ctx context.Context, snap *Snap, a *ankql.Aggregation, allow func(*entity.State) bool) (*agg.Table, error) {
	t := agg.New(a)
	if allow == nil && len(a.Rows.Links) == 0 && t.Countable() {
		n, err := snap.Count(ctx, a.Rows)
		t.Count(n)
		return t, err
	}
	for r, err := range LinkedRows(ctx, snap, a.Rows, allow) {
		if err != nil {
			return nil, err
		}
		t.Add(r)
	}
	return t, nil
}

// SubscribeAggregate registers a live aggregate over a narrowed selection, which
// [Core.StartAggregate] gives groups.
func (c *Core) SubscribeAggregate(a *ankql.Aggregation, allow func(*entity.State) bool, sink AggregateSink) *Aggregate {
	c.serial++
	q := &Aggregate{n: c.serial, a: a, sink: sink}
	c.aggregates[q] = struct{}{}
	if !c.cfg.Durable && len(a.Rows.Links) == 0 {
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
	case r.ready: // though perhaps nobody shows it yet, or any more
		c.whenWhole(func() { c.joinAggregate(r) })
	case len(r.a.Rows.Links) > 0:
		c.gather(r)
	default:
		c.readAggregate(r)
	}
}

// aggregateResult returns the result of a selection: one that is there or is
// being read, if it may be shared, or a new one.
func (c *Core) aggregateResult(a *ankql.Aggregation, allow func(*entity.State) bool) *aggregateResult {
	r := &aggregateResult{a: a, allow: allow}
	if c.shareable(a.Rows, allow) {
		if r.key = a.Key(); c.sharedAggregates[r.key] != nil {
			return c.sharedAggregates[r.key]
		}
		c.sharedAggregates[r.key] = r
	}
	return r
}

// await makes r what q will show, in place of what it was to show before.
func (c *Core) await(q *Aggregate, r *aggregateResult) {
	overtaken := q.next
	q.next = r
	r.joining = append(r.joining, q)
	switch overtaken {
	case nil, r:
	case q.res: // it is still shown
		overtaken.joining = slices.DeleteFunc(overtaken.joining, func(o *Aggregate) bool { return o == q })
	default:
		c.leaveAggregate(q, overtaken)
	}
}

// leaveAggregate ends that q shows r, or waits to.
func (c *Core) leaveAggregate(q *Aggregate, r *aggregateResult) {
	is := func(o *Aggregate) bool { return o == q }
	r.shown = slices.DeleteFunc(slices.Clone(r.shown), is)
	r.joining = slices.DeleteFunc(r.joining, is)
	if r.gone || len(r.shown)+len(r.joining) > 0 {
		return
	}
	r.gone = true
	if c.sharedAggregates[r.key] == r {
		delete(c.sharedAggregates, r.key)
	}
	delete(c.readingAggregates, r)
	if r.ra != nil {
		c.reactor.Remove(r.ra)
	}
	if r.rows != nil {
		c.Unsubscribe(r.rows.q)
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
	r.ra.Owner = r
	c.readingAggregates[r] = struct{}{}
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
				delete(c.readingAggregates, r)
				c.reactor.Add(r.ra)
				c.joinAggregate(r)
			}
		})
	})
}

// joinAggregate lets those show a result who have waited for it.
func (c *Core) joinAggregate(r *aggregateResult) {
	r.ready = true
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
		c.leaveAggregate(q, old)
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
		if _, is := q.sink.(Local); is && len(q.res.shown) > 1 {
			c.holdAggregate(q) // as of a live query
		}
		c.leaveAggregate(q, q.res)
	}
	if q.next != nil {
		c.leaveAggregate(q, q.next)
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
	return sorting.Sorted(maps.Keys(c.aggregates), func(a, b *Aggregate) int { return cmp.Compare(a.n, b.n) })
}

// applyAggregates tells what a published transaction did to live aggregates,
// which the reactor has routed it to.
func (c *Core) applyAggregates(t *tx) {
	for r := range c.readingAggregates {
		r.buffer = append(r.buffer, reactor.In(t.changes, r.a.Rows.Collection))
	}
	told := c.touchedAggregates
	c.touchedAggregates = nil
	if !c.cfg.Durable {
		for _, q := range c.aggregatesInOrder() {
			if q.remote != nil && q.res != nil { // each has a result of its own
				c.applyResults(q, t)
				told = append(told, q.res)
			}
		}
	}
	for _, r := range told {
		c.tellAggregate(r)
	}
}

// tellAggregate hands over what happened to a result since it was told last.
func (c *Core) tellAggregate(r *aggregateResult) {
	if r.gone {
		return
	}
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

// aggregatedRows are the rows of an aggregate selection with links: a live query
// like any other, also to the server of an ephemeral node, for the sake of what
// lies behind the links.
type aggregatedRows struct {
	c  *Core
	r  *aggregateResult
	q  *Query
	in map[id.ID]*reactor.Joined // as they are counted
}

// gather reads the rows of a result with links, and follows them.
func (c *Core) gather(r *aggregateResult) {
	r.reading, r.ra = true, reactor.NewAggregate(r.a, nil)
	rows := &aggregatedRows{c: c, r: r, in: map[id.ID]*reactor.Joined{}}
	r.rows = rows
	c.gathered++
	rows.q = c.Subscribe(r.a.Reading(), r.allow, rows)
	if !c.cfg.Durable {
		c.Follow(rows.q)
	}
	c.Start(rows.q)
}

// Ready shows the first groups.
func (s *aggregatedRows) Ready() {
	s.compare()
	s.r.ra.Take() // the beginning is no change
	s.r.reading = false
	s.c.joinAggregate(s.r)
}

// compare counts the rows as they are, whatever was told of them.
func (s *aggregatedRows) compare() {
	left := maps.Clone(s.in)
	for _, j := range s.q.now().Joined() {
		delete(left, j.ID())
		s.put(j)
	}
	for i := range left {
		s.drop(i)
	}
}

func (s *aggregatedRows) put(j *reactor.Joined) {
	old := s.in[j.ID()]
	s.in[j.ID()] = j
	switch t := s.r.ra.Table(); {
	case old == nil:
		t.Add(j)
	case old != j:
		t.Update(old, j)
	}
}

func (s *aggregatedRows) drop(i id.ID) {
	if old := s.in[i]; old != nil {
		delete(s.in, i)
		s.r.ra.Table().Remove(old)
	}
}

// Changed counts what has become of the rows.
func (s *aggregatedRows) Changed(changes []rowChange) {
	for k := range changes {
		if c := &changes[k]; c.Kind == reactor.Removed {
			s.drop(c.Before.ID())
		} else {
			s.put(c.Joined)
		}
	}
	s.c.tellAggregate(s.r)
}

// Failed ends the aggregates.
func (s *aggregatedRows) Failed(err error) { s.c.failAggregates(s.r, err) }

// Synced tells those who show the groups.
func (s *aggregatedRows) Synced(synced bool) {
	for _, q := range s.r.shown {
		if !q.closed {
			q.sink.Synced(synced)
		}
	}
}

// counted returns what commits are routed to for the sake of a result.
func (r *aggregateResult) counted() interface {
	Route() string
	Counts() (offered, touched uint64)
} {
	if r.rows != nil {
		return r.rows.q.now()
	}
	return r.ra
}

// theirs reports whether only peers wait for the groups.
func (s *aggregatedRows) theirs() bool {
	return !slices.ContainsFunc(s.r.joining, func(q *Aggregate) bool {
		_, theirs := q.sink.(aggregateSubscriber)
		return !theirs
	})
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
func (q *Aggregate) Synced() bool {
	if q.res != nil && q.res.rows != nil {
		return q.res.rows.q.Synced()
	}
	return q.remote == nil || q.remote.synced
}

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
		c.reactor.Remove(q.res.ra) // the rows here say nothing any more
		q.res.ra = reactor.NewAggregate(q.a, nil)
		q.Table().Based()
		r.based, r.covered = true, map[id.ID]covered{}
		for _, i := range sorting.Sorted(slices.Values(c.PendingIn(q.a.Rows.Collection)), id.ID.Compare) {
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
