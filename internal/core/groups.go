package core

import (
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/value"
)

// A durable node's side of aggregates.

// bindAggregate makes an aggregate selection of what a peer asks for.
func (c *Core) bindAggregate(p *Peer, m *wire.Query) (*ankql.Aggregation, error) {
	if err := c.querySize(m); err != nil {
		return nil, err
	}
	l := c.cfg.Limits.query()
	params, err := decodeValues(m.Params)
	if err != nil {
		return nil, err
	}
	a, err := l.BindAggregateTemplateAcross(m.Text, params, c.modelsFor(p), m.Collection)
	if err != nil && m.Lenient {
		a, err = l.BindAggregateTemplate(m.Text, params, nil, m.Collection)
	}
	return a, err
}

func decodeValues(encoded [][]byte) (out []value.Value, err error) {
	out = make([]value.Value, len(encoded))
	for k, b := range encoded {
		if out[k], err = value.Decode(b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *Core) serveAggregate(p *Peer, m *wire.Query) {
	fail := func(err error) {
		c.send(&p.Conn, &wire.Fail{ID: m.ID, Code: codeOf(err), Text: textOf(err)})
	}
	a, err := c.bindAggregate(p, m)
	if err != nil {
		fail(err)
		return
	}
	switch {
	case !m.Live:
		c.answer(p, m.ID, func(x *answer) error {
			narrowed, allow, err := c.NarrowAggregate(a, x.who)
			if err != nil {
				return err
			}
			t, err := Groups(x.ctx, x.snap, narrowed, allow)
			if err == nil {
				x.frames, err = groupFrames(m.ID, t)
			}
			return err
		}, m.Collection)
	case p.subs[m.ID] != nil || p.aggregates[m.ID] != nil:
		c.dismissWith(p, wire.Malformed, "two live queries with one number")
	default:
		if err := c.subscribes(p); err != nil {
			fail(err)
			return
		}
		narrowed, allow, err := c.NarrowAggregate(a, p.principal)
		if err != nil {
			fail(err)
			return
		}
		s := &aggregateSub{c: c, p: p, id: m.ID, a: a, slot: p.answerTo()}
		p.aggregates[m.ID] = s
		c.subs++
		s.q = c.SubscribeAggregate(narrowed, allow, aggregateSubscriber{s})
		c.StartAggregate(s.q)
	}
}

// groupFrames is the answer that tells all groups.
func groupFrames(request uint64, t *agg.Table) (frames [][]byte, err error) {
	part, size := &wire.Groups{ID: request}, 0
	t.Each(func(key []value.Value, state []byte) {
		g, n := groupOf(key, state)
		if n > maxGroup {
			err = errGroupSize
			return
		}
		if size+n > wire.MaxChunk && size > 0 {
			frames = append(frames, wire.Append(nil, part))
			part, size = &wire.Groups{ID: request}, 0
		}
		part.Groups = append(part.Groups, g)
		size += n
	})
	part.Done = true
	return append(frames, wire.Append(nil, part)), err
}

// groupOf returns a group as it is sent, and about how long that is.
func groupOf(key []value.Value, state []byte) (g wire.Group, size int) {
	g.State, size = state, len(state)+16
	for _, v := range key {
		b := value.Append(nil, v)
		g.Key = append(g.Key, b)
		size += len(b) + 4
	}
	return g, size
}

// aggregateSub is a live aggregate of a peer.
type aggregateSub struct {
	c    *Core
	p    *Peer
	id   uint64
	a    *ankql.Aggregation // as asked for
	q    *Aggregate
	slot *slot
}

// forget takes the aggregate out of the peer's.
func (s *aggregateSub) forget() {
	if s.p.aggregates[s.id] == s {
		delete(s.p.aggregates, s.id)
		s.c.subs--
	}
}

// aggregateSubscriber is what hears of a live aggregate of a peer (see
// [subscriber]).
type aggregateSubscriber struct{ *aggregateSub }

// Ready answers the query with its groups.
func (s aggregateSubscriber) Ready() {
	frames, err := groupFrames(s.id, s.q.Table())
	if err != nil {
		s.c.failAggregate(s.q, err)
		return
	}
	s.p.postpone(s.slot) // behind the commits that the groups have in them
	s.c.answered(s.p, s.slot, frames)
}

// Changed gathers what has to be pushed when the commit is through.
func (s aggregateSubscriber) Changed(changes []agg.Change) {
	r := wire.Result{Query: s.id}
	for k := range changes {
		g, size := groupOf(changes[k].Key(), s.q.Table().Encoded(&changes[k]))
		if size > maxGroup {
			s.c.failAggregate(s.q, errGroupSize)
			return
		}
		r.Groups = append(r.Groups, g)
	}
	s.c.touch(s.p)
	s.p.results = append(s.p.results, r)
}

// Failed ends the aggregate.
func (s aggregateSubscriber) Failed(err error) {
	s.forget()
	m := &wire.Fail{ID: s.id, Code: codeOf(err), Text: textOf(err)}
	if s.slot.open {
		s.c.answered(s.p, s.slot, [][]byte{wire.Append(nil, m)})
		return
	}
	s.c.send(&s.p.Conn, m)
}

// Synced is for ephemeral nodes.
func (s aggregateSubscriber) Synced(bool) {}

// resultParts cuts results into what fits into one message each; none gives no
// part.
func resultParts(results []wire.Result) (out [][]wire.Result) {
	var part []wire.Result
	size := 0
	for _, r := range results {
		first := 0
		for k := range r.Groups {
			n := len(r.Groups[k].State) + 16
			for _, b := range r.Groups[k].Key {
				n += len(b) + 4
			}
			if size+n > wire.MaxChunk && size > 0 {
				if k > first {
					part = append(part, wire.Result{Query: r.Query, Groups: r.Groups[first:k]})
				}
				out = append(out, part)
				part, size, first = nil, 0, k
			}
			size += n
		}
		part = append(part, wire.Result{Query: r.Query, Groups: r.Groups[first:]})
	}
	if part != nil {
		out = append(out, part)
	}
	return out
}

// An ephemeral node's side.

// followAggregate asks for what happens to a live aggregate.
func (l *Link) followAggregate(q *Aggregate) {
	n := l.number()
	q.remote.id = n
	l.requests[n] = &request{aggregate: q, answer: aGroups}
	l.c.send(&l.Conn, l.aggregate(n, q.a, true))
}

func (l *Link) aggregate(n uint64, a *ankql.Aggregation, live bool) *wire.Query {
	text, params := a.Template()
	m := &wire.Query{ID: n, Collection: a.Rows.Collection, Text: text, Live: live, Lenient: l.c.declared(a.Rows.Collection)}
	for _, v := range params {
		m.Params = append(m.Params, value.Append(nil, v))
	}
	return m
}

// AggregateRemote asks the server for the groups of a selection.
func (c *Core) AggregateRemote(a *ankql.Aggregation, done func(groups []ankql.Group, err error)) (cancel func()) {
	return c.askServer(aGroups, func(l *Link, n uint64) wire.Message { return l.aggregate(n, a, false) },
		func(r *request, err error) {
			if err != nil {
				done(nil, err)
				return
			}
			t := agg.New(a)
			t.Based()
			if err = putGroups(t, r.groups); err != nil {
				done(nil, &malformedChange{err})
				return
			}
			done(t.Groups(), nil)
		})
}

func putGroups(t *agg.Table, groups []wire.Group) error {
	for k := range groups {
		key, err := decodeValues(groups[k].Key)
		if err == nil {
			err = t.Put(key, groups[k].State)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// groups takes a part of an answer; all of it is applied at once.
func (l *Link) groups(m *wire.Groups) {
	r := l.asked(m.ID, m)
	if r == nil || r.followed { // frames may come twice
		return
	}
	if r.groups = append(r.groups, m.Groups...); !m.Done {
		return
	}
	if q := r.aggregate; q != nil {
		r.followed = true
		x := resultMove{q: q, id: m.ID, all: true, groups: r.groups}
		r.groups = nil
		l.apply(&move{results: []resultMove{x}})
		return
	}
	delete(l.requests, m.ID)
	r.done(r, nil)
}

// results finds the live aggregates that the server speaks of.
func (l *Link) results(list []wire.Result) (out []resultMove) {
	for _, x := range list {
		if r := l.requests[x.Query]; r != nil && r.aggregate != nil {
			out = append(out, resultMove{q: r.aggregate, id: x.Query, groups: x.Groups})
		}
	}
	return out
}
