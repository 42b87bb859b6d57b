package core

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
)

// maxGap is the number of events up to which a peer that lacks them gets them;
// beyond it the state is shorter to send and quicker to apply (S35).
const maxGap = 16

// bufSize is how many bytes of states are made room for at a time.
const bufSize = 8 << 10

// answer is made beside the core, from a snapshot.
type answer struct {
	ctx     context.Context
	c       *Core
	who     policy.Principal
	id      uint64
	renewed bool // what was read before may be hidden by now
	snap    *Snap
	filters map[string]*filter
	frames  [][]byte
	rows    wire.Rows // the part being made
	size    int
	buf     []byte // of the states in it
	total   int    // bytes of all parts
}

// grow counts bytes of the answer.
func (a *answer) grow(n int) error {
	a.total += n
	return atMost(a.total, a.c.cfg.Limits.AnswerBytes, "the answer has at least", "bytes", "AnswerBytes", "ask for less at once")
}

// enough counts rows of an answer to a peer.
func (c *Core) enough(n int) error {
	return atMost(n, c.cfg.Limits.PeerRows, "what is asked for has at least", "rows", "PeerRows", "ask for less at once")
}

// answer runs job beside the core and sends what frames it makes, in the place
// that the peer's next message would have had. The job may read collections.
func (c *Core) answer(p *Peer, request uint64, job func(*answer) error, collections ...string) {
	at := p.answerTo()
	c.answerAt(p, at, request, func(err error) {
		if request == 0 {
			c.dismiss(p, err)
			return
		}
		c.answered(p, at, [][]byte{wire.Append(nil, &wire.Fail{ID: request, Code: codeOf(err), Text: textOf(err)})})
	}, func() func(*answer) error { return job }, collections)
}

// answerAt is answer at a slot; fail is called in place of an answer. begin
// returns the job, of this moment; it is called again for an answer that has to
// be made once more.
func (c *Core) answerAt(p *Peer, at *slot, request uint64, fail func(error), begin func() func(*answer) error, collections []string) {
	c.makeAnswer(p, at, request, false, fail, begin, collections)
}

func (c *Core) makeAnswer(p *Peer, at *slot, request uint64, renewed bool, fail func(error), begin func() func(*answer) error, collections []string) {
	a := &answer{c: c, who: p.principal, id: request, renewed: renewed, filters: map[string]*filter{}}
	narrowed := p.narrowed
	var err error
	for _, name := range collections {
		if a.filters[name], err = c.filter(p, name); err != nil {
			fail(err)
			return
		}
	}
	if a.snap, err = c.Latest(); err != nil {
		fail(err)
		return
	}
	job := begin()
	once := func(renewed bool) { // more
		c.whenWhole(func() {
			if p.ending || !at.open {
				return
			}
			p.postpone(at) // behind the commits that the later answer has
			c.makeAnswer(p, at, request, renewed, fail, begin, collections)
		})
	}
	c.ex.Read(func(ctx context.Context) error {
		return c.inTime(ctx, func(ctx context.Context) error {
			a.ctx = ctx
			return job(a)
		})
	}, func(err error) {
		a.snap.Release()
		switch {
		case p.ending || !at.open:
		case narrowed != p.narrowed: // it may read something else by now (S38)
			once(true)
		case c.again(err, a.snap, func() { once(renewed) }):
		case err != nil:
			fail(err)
		default:
			c.answered(p, at, a.frames)
		}
	})
}

// hidden reports whether what was read before may not be read any more.
func (a *answer) hidden(s *entity.State) bool {
	f := a.filters[s.Collection()]
	return a.renewed && f != nil && !f.reads(s)
}

// put adds a change to the part being made.
func (a *answer) put(x wire.Change) {
	a.rows.Changes = append(a.rows.Changes, x)
	a.size += sizeOf(&x)
	a.full()
}

// row adds a row to the result.
func (a *answer) row(i id.ID) {
	a.rows.Result = append(a.rows.Result, i)
	a.size += id.Size
	a.full()
}

func (a *answer) full() {
	if a.size >= wire.MaxChunk {
		a.part()
	}
}

func (a *answer) part() {
	a.rows.ID = a.id
	a.frames = append(a.frames, wire.Append(make([]byte, 0, a.size+64), &a.rows))
	clear(a.rows.Changes)
	a.rows, a.size, a.buf = wire.Rows{Changes: a.rows.Changes[:0], Result: a.rows.Result[:0]}, 0, nil
}

// done adds the last part.
func (a *answer) done() {
	a.rows.Done = true
	a.part()
}

// delta returns what a peer that has rev known lacks of s, false for nothing.
// A peer that may not read everything gets no events of a gap, since one of the
// states between might be one that it may not read (S38).
func (a *answer) delta(s *entity.State, known uint64) (wire.Change, bool, error) {
	x := wire.Change{Collection: s.Collection(), Entity: s.ID(), After: s.Rev()}
	if known == s.Rev() {
		return x, false, nil
	}
	if gap := s.Rev() - known; known > 0 && known < s.Rev() && gap <= maxGap && a.filters[x.Collection].all {
		events, err := a.gap(s, known)
		if err != nil {
			return x, false, err
		}
		if uint64(len(events)) == gap {
			x.Before, x.Head, x.Events = known, s.Head(), events
			return x, true, a.grow(sizeOf(&x))
		}
	}
	if need := s.Size(); cap(a.buf)-len(a.buf) < need {
		a.buf = make([]byte, 0, max(bufSize, need)) // what was cut of the old one stays valid
	}
	start := len(a.buf)
	a.buf = s.Append(a.buf)
	x.State = a.buf[start:len(a.buf):len(a.buf)]
	return x, true, a.grow(sizeOf(&x))
}

// gap returns the events of s behind rev known.
func (a *answer) gap(s *entity.State, known uint64) (events [][]byte, err error) {
	for e, err := range a.snap.Events(a.ctx, s.Collection(), s.ID(), known+1, s.Rev()) {
		if err != nil {
			return nil, err
		}
		events = append(events, e.Append(nil))
	}
	return events, nil
}

// wanted returns what a peer lacks of entities by ID, or that they are not
// there for it.
func (a *answer) wanted(collection string, entities []wire.Known) ([]wire.Change, error) {
	var out []wire.Change
	for _, k := range entities {
		s, err := a.snap.State(a.ctx, collection, k.Entity)
		if err != nil {
			return nil, err
		}
		if s == nil || !a.filters[collection].reads(s) {
			out = append(out, wire.Change{Collection: collection, Entity: k.Entity, Removed: true})
			continue
		}
		x, lacks, err := a.delta(s, k.Rev)
		if err != nil {
			return nil, err
		}
		if lacks || k.Rev == 0 {
			out = append(out, x)
		}
	}
	return out, nil
}

// result puts the rows of a query, and what became of those that the peer
// knows and that are not among them (S36).
func (a *answer) result(collection string, rows []*entity.State, known []wire.Known) error {
	revs := make(map[id.ID]uint64, len(known))
	for _, k := range known {
		revs[k.Entity] = k.Rev
	}
	a.rows.Changes = make([]wire.Change, 0, min(len(rows), wire.MaxChunk/96))
	a.rows.Result = make([]id.ID, 0, len(rows))
	for _, s := range rows {
		x, lacks, err := a.delta(s, revs[s.ID()])
		if err != nil {
			return err
		}
		if lacks {
			a.put(x)
		}
		a.row(s.ID())
		delete(revs, s.ID())
	}
	known = slices.DeleteFunc(slices.Clone(known), func(k wire.Known) bool { _, left := revs[k.Entity]; return !left })
	changes, err := a.wanted(collection, known)
	for _, x := range changes {
		a.put(x)
	}
	return err
}

// companions puts what rows refer to, so that the peer can follow the links of
// the query, too, and of what is not there for it that it is not: the peer may
// have an older copy (S36).
func (a *answer) companions(links []ankql.Link, joined []*reactor.Joined) error {
	put := map[id.ID]bool{}
	for _, j := range joined {
		for l, i := range j.Lost(links) {
			if put[i] {
				continue
			}
			put[i] = true
			changes, err := a.wanted(l.Collection, []wire.Known{{Entity: i}})
			if err != nil {
				return err
			}
			for _, x := range changes {
				a.put(x)
			}
		}
		for _, s := range j.To {
			if s == nil || put[s.ID()] || a.hidden(s) {
				continue
			}
			put[s.ID()] = true
			x, _, err := a.delta(s, 0)
			if err != nil {
				return err
			}
			a.put(x)
		}
	}
	return nil
}

func (c *Core) serveWant(p *Peer, m *wire.Want) {
	c.answer(p, m.ID, func(a *answer) error {
		changes, err := a.wanted(m.Collection, m.Entities)
		for _, x := range changes {
			a.put(x)
		}
		a.done()
		return err
	}, m.Collection)
}

// querySize returns an error when a query of a peer is too large.
func (c *Core) querySize(m *wire.Query) error {
	size := len(m.Text)
	for _, b := range m.Params {
		size += len(b)
	}
	return atMost(size, c.cfg.Limits.QueryBytes, "the query and its parameters have", "bytes", "QueryBytes", "")
}

// modelsFor returns the models as a peer may know them: who may read nothing of
// a collection does not learn what fields it has.
func (c *Core) modelsFor(p *Peer) ankql.Models {
	return func(name string) *schema.Model {
		if !c.mayRead(p, name) {
			return nil
		}
		return c.Model(name)
	}
}

// bindQuery makes a selection of what a peer asks for.
func (c *Core) bindQuery(p *Peer, m *wire.Query) (*ankql.Selection, error) {
	if err := c.querySize(m); err != nil {
		return nil, err
	}
	params, err := decodeValues(m.Params)
	if err != nil {
		return nil, err
	}
	l := c.cfg.Limits.query()
	sel, err := l.BindTemplateAcross(m.Text, params, c.modelsFor(p), m.Collection)
	if err != nil && m.Lenient {
		sel, err = l.BindTemplate(m.Text, params, nil, m.Collection)
	}
	return sel, err
}

func (c *Core) serveQuery(p *Peer, m *wire.Query) {
	if ankql.IsAggregate(m.Text) {
		c.serveAggregate(p, m)
		return
	}
	fail := func(err error) {
		c.send(&p.Conn, &wire.Fail{ID: m.ID, Code: codeOf(err), Text: textOf(err)})
	}
	sel, err := c.bindQuery(p, m)
	if err != nil {
		fail(err)
		return
	}
	switch {
	case m.Live && (p.subs[m.ID] != nil || p.aggregates[m.ID] != nil):
		c.dismissWith(p, wire.Malformed, "two live queries with one number")
	case m.Live:
		if err := c.subscribes(p); err != nil {
			fail(err)
			return
		}
		narrowed, allow, err := c.Narrow(sel, p.principal)
		if err != nil {
			fail(err)
			return
		}
		s := &sub{c: c, p: p, id: m.ID, sel: sel, known: m.Known, slot: p.answerTo()}
		p.subs[m.ID] = s
		c.subs++
		s.q = c.Subscribe(narrowed, allow, subscriber{s})
		c.Start(s.q)
	case m.Count:
		c.answer(p, m.ID, func(a *answer) error {
			narrowed, allow, err := c.Narrow(sel, a.who)
			if err != nil {
				return err
			}
			n, err := Count(a.ctx, a.snap, narrowed, allow)
			a.frames = append(a.frames, wire.Append(nil, &wire.Counted{ID: m.ID, N: uint64(n)}))
			return err
		}, m.Collection)
	default:
		c.answer(p, m.ID, func(a *answer) error {
			narrowed, allow, err := c.Narrow(sel, a.who)
			if err != nil {
				return err
			}
			rows, joined, err := c.collectFor(a.ctx, a.snap, narrowed, allow, true)
			if err == nil {
				err = a.result(m.Collection, rows, m.Known)
			}
			if err == nil {
				err = a.companions(narrowed.Links, joined)
			}
			a.done()
			return err
		}, collections(sel)...)
	}
}

// Count returns the number of allowed rows of a selection.
func Count(ctx context.Context, snap *Snap, sel *ankql.Selection, allow func(*entity.State) bool) (n int64, err error) {
	if allow == nil && len(sel.Links) == 0 {
		return snap.Count(ctx, sel)
	}
	for _, err := range Rows(ctx, snap, sel, allow) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

func (c *Core) serveHistory(p *Peer, m *wire.History) {
	kinds := c.cfg.Kinds
	c.answer(p, m.ID, func(a *answer) error {
		f := a.filters[m.Collection]
		now, err := a.snap.State(a.ctx, m.Collection, m.Entity)
		if err != nil {
			return err
		}
		if now == nil || !f.reads(now) {
			return &absentError{m.Collection, m.Entity}
		}
		part, size := &wire.Events{ID: m.ID}, 0
		var before, told *entity.State // the asker knows the latter
		for e, err := range a.snap.Events(a.ctx, m.Collection, m.Entity, 1, now.Rev()) {
			if err != nil {
				return err
			}
			after, err := before.Apply(kinds, e)
			if err != nil {
				return err
			}
			// S38: only between states that may be read.
			if after.Rev() > m.After && (before == nil || f.reads(before)) && f.reads(after) {
				b := e.Append(nil)
				if before != told {
					part.Bases = append(part.Bases, wire.Base{At: uint64(len(part.Events)), State: before.Append(nil)})
					size += before.Size()
				}
				part.Events = append(part.Events, b)
				told = after
				if err := a.grow(len(b)); err != nil {
					return err
				}
				if size += len(b); size >= wire.MaxChunk {
					a.frames = append(a.frames, wire.Append(nil, part))
					part, size = &wire.Events{ID: m.ID}, 0
				}
			}
			before = after
		}
		part.Done = true
		a.frames = append(a.frames, wire.Append(nil, part))
		return nil
	}, m.Collection)
}

// serveDescribe tells the schemas of the collections that the peer may read
// something of.
func (c *Core) serveDescribe(p *Peer, m *wire.Describe) {
	names := []string{m.Collection}
	if m.Collection == "" {
		names = c.Collections()
	}
	out := &wire.Described{ID: m.ID}
	for _, name := range names {
		model := c.Model(name)
		if model == nil || strings.HasPrefix(name, "_") {
			continue
		}
		if !c.mayRead(p, name) {
			continue
		}
		out.Models = append(out.Models, appendModel(nil, model))
	}
	c.send(&p.Conn, out)
}

type absentError struct {
	collection string
	entity     id.ID
}

func (e *absentError) Error() string {
	return "ankurah: " + e.collection + " " + e.entity.String() + " is not there"
}
func (e *absentError) Unwrap() error { return ErrAbsent }

// ErrAbsent is wrapped when another node has no such entity for the asker.
var ErrAbsent = errors.New("not found")

// subscribes returns an error when a peer may have no further live query.
func (c *Core) subscribes(p *Peer) error {
	l := &c.cfg.Limits
	if err := atMost(len(p.subs)+len(p.aggregates)+1, l.Subscriptions, "the connection would have", "live queries", "Subscriptions", "close some"); err != nil {
		return err
	}
	return roomFor(c.subs+1, l.NodeSubscriptions, "the node would have", "live queries of peers", "NodeSubscriptions", "")
}

// collectFor is Collect, for peers within limits.
func (c *Core) collectFor(ctx context.Context, snap *Snap, sel *ankql.Selection, allow func(*entity.State) bool, theirs bool) (rows []*entity.State, joined []*reactor.Joined, err error) {
	if !theirs {
		return Collect(ctx, snap, sel, allow)
	}
	err = c.inTime(ctx, func(ctx context.Context) (err error) {
		rows, joined, err = collect(ctx, snap, sel, allow, c.enough)
		return err
	})
	return rows, joined, err
}

// theirs reports whether only peers wait for a result.
func (r *result) theirs() bool {
	return !slices.ContainsFunc(r.joining, func(q *Query) bool {
		switch s := q.sink.(type) {
		case subscriber:
			return false
		case *aggregatedRows:
			return !s.theirs()
		}
		return true
	})
}

// inTime runs a read for a peer, which may take so long.
func (c *Core) inTime(ctx context.Context, read func(context.Context) error) error {
	most := c.cfg.Limits.RequestTimeout
	limited, cancel := context.WithTimeoutCause(ctx, most, limit.ErrDeadline)
	defer cancel()
	err := read(limited)
	if err != nil && context.Cause(limited) == limit.ErrDeadline {
		return &lateError{"the answer was not read", "RequestTimeout", most}
	}
	return err
}

// sub is a live query of a peer.
type sub struct {
	rows  int // at its beginning
	c     *Core
	p     *Peer
	id    uint64
	sel   *ankql.Selection // as asked for
	q     *Query
	known []wire.Known
	slot  *slot
	sent  map[id.ID]bool // what rows refer to: that the peer has it, or has none
}

// subscriber is what hears of a live query of a peer. No other type leads to
// this one: what it does is linked where peers are served.
type subscriber struct{ *sub }

// Ready answers the query with its rows.
func (s subscriber) Ready() {
	s.rows = len(s.q.Rows())
	s.p.rows += s.rows
	fail := func(err error) {
		// Not here, where others are about to be shown the same result.
		s.c.ex.Read(func(context.Context) error { return nil }, func(error) { s.c.failQuery(s.q, err) })
	}
	if err := s.c.enough(s.p.rows); err != nil {
		fail(err)
		return
	}
	known := s.known
	s.known = nil
	s.p.postpone(s.slot) // behind the commits that the rows have in them
	s.c.answerAt(s.p, s.slot, s.id, fail, func() func(*answer) error {
		rows, joined := s.q.Rows(), s.q.now().Joined()
		for _, j := range joined {
			s.refers(j)
		}
		return func(a *answer) error {
			shown := rows
			if a.renewed { // what is hidden by now is followed by its withdrawal
				shown = slices.DeleteFunc(slices.Clone(rows), a.hidden)
			}
			err := a.result(s.sel.Collection, shown, known)
			if err == nil {
				err = a.companions(s.sel.Links, joined)
			}
			a.done()
			return err
		}
	}, collections(s.sel))
}

// collections returns those that a selection reads.
func collections(sel *ankql.Selection) []string {
	out := []string{sel.Collection}
	for _, l := range sel.Links {
		out = append(out, l.Collection)
	}
	return out
}

// refers notes what a row refers to as told, and returns what the peer has not
// been told of: what it is to have, and what it must not see in an older copy.
func (s *sub) refers(j *reactor.Joined) (fresh []*outgoing) {
	if j == nil {
		return nil
	}
	if s.sent == nil {
		s.sent = map[id.ID]bool{}
	}
	for _, to := range j.To {
		if to == nil || s.sent[to.ID()] {
			continue
		}
		s.sent[to.ID()] = true
		fresh = append(fresh, &outgoing{collection: to.Collection(), entity: to.ID(), now: to, whole: true})
	}
	for l, i := range j.Lost(s.sel.Links) {
		if has, told := s.sent[i]; told && !has {
			continue
		}
		s.sent[i] = false
		fresh = append(fresh, &outgoing{collection: l.Collection, entity: i})
	}
	return fresh
}

// refer gathers what rows refer to now, after what may be seen has changed.
func (s subscriber) refer(joined []*reactor.Joined) {
	for _, j := range joined {
		for _, o := range s.refers(j) {
			s.c.touch(s.p)
			s.p.gather(o)
		}
	}
}

// Behind gathers what happened to entities that rows refer to, also of those
// that are not there for the peer any more: of several commits that are told at
// once another query may have an earlier one's state.
func (s subscriber) Behind(changes []reactor.Change) {
	for _, x := range changes {
		i := x.After.ID()
		if has, told := s.sent[i]; told || s.p.byEntity[i] != nil {
			s.c.touch(s.p)
			s.p.gather(&outgoing{collection: x.After.Collection(), entity: i, before: x.Before, now: x.After, whole: x.Before == nil || !has})
		}
	}
}

// Changed gathers what has to be pushed when the commit is through.
func (s subscriber) Changed(changes []rowChange) {
	s.c.touch(s.p)
	w := wire.Window{Query: s.id}
	for _, r := range changes {
		o := &outgoing{before: r.Before, now: r.After, whole: r.Before == nil}
		switch {
		case r.After != nil:
			o.collection, o.entity = r.After.Collection(), r.After.ID()
		default:
			o.collection, o.entity = r.Before.Collection(), r.Before.ID()
			if o.now = r.Now; o.now == nil {
				o.now = r.Before // nothing happened to it; perhaps it may not be read
			}
		}
		s.p.gather(o)
		for _, to := range s.refers(r.Joined) {
			s.p.gather(to)
		}
		switch r.Kind {
		case reactor.Added:
			w.In = append(w.In, o.entity)
		case reactor.Removed:
			w.Out = append(w.Out, o.entity)
		}
	}
	if s.sel.Windowed() && len(w.In)+len(w.Out) > 0 {
		s.p.windows = append(s.p.windows, w)
	}
}

// Failed ends the query.
func (s subscriber) Failed(err error) {
	s.forget()
	m := &wire.Fail{ID: s.id, Code: codeOf(err), Text: textOf(err)}
	if s.slot.open {
		s.c.answered(s.p, s.slot, [][]byte{wire.Append(nil, m)})
		return
	}
	s.c.send(&s.p.Conn, m)
}

// forget takes the query out of the peer's.
func (s *sub) forget() {
	if s.p.subs[s.id] == s {
		delete(s.p.subs, s.id)
		s.p.rows -= s.rows
		s.c.subs--
	}
}

// Synced is for ephemeral nodes.
func (s subscriber) Synced(bool) {}
