package core

import (
	"maps"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
)

// remote is what a live query of an ephemeral node is to its server.
type remote struct {
	id     uint64
	sel    *ankql.Selection
	synced bool
	short  bool // a window lacks rows that the server has to name
	// members are the rows of a window on the server, nil before they are
	// known. Other rows enter only if a pending event touched them (S53).
	members map[id.ID]bool
}

// Follow makes a live query one of the server's rows too.
func (c *Core) Follow(q *Query) {
	q.remote = &remote{sel: q.Selection()}
	if c.Connected() && q.next == nil && !q.closed {
		c.link.follow(q)
	}
}

// unfollow ends the server's part of a live query.
func (c *Core) unfollow(q *Query) {
	if q.remote == nil || c.link == nil || q.remote.id == 0 {
		return
	}
	if r := c.link.requests[q.remote.id]; r != nil && r.q == q {
		delete(c.link.requests, q.remote.id)
		c.send(&c.link.Conn, &wire.Cancel{ID: q.remote.id})
	}
	q.remote.id = 0
}

// Synced reports whether the rows are what a durable node says they are, apart
// from pending edits.
// A window is not while it has fewer rows than on the server: edits have taken
// some out, and only the server knows which take their place (S53).
func (q *Query) Synced() bool { return q.remote == nil || q.remote.synced && !q.remote.short }

func (c *Core) setSynced(q *Query, synced bool) {
	if q.remote == nil || q.closed || q.remote.synced == synced {
		return
	}
	q.remote.synced = synced
	q.sink.Synced(q.Synced())
}

// deliver hands over what happened to a result.
func (c *Core) deliver(r *result) {
	changes := r.rq.Take()
	if len(changes) > 0 {
		r.changed = c.ex.Now()
	}
	behind := r.behind
	r.behind = nil
	for _, q := range r.shown {
		if len(changes) > 0 {
			q.sink.Changed(changes)
		}
		if s, ok := q.sink.(referrer); ok {
			s.Behind(behind)
		}
		c.measure(q)
	}
}

// measure tells whether a window has become shorter than on the server, or is
// so no more.
func (c *Core) measure(q *Query) {
	if r, limit := q.remote, q.now().Selection().Limit; r != nil && limit >= 0 {
		short := q.now().Len() < min(limit, len(r.members))
		if short != r.short {
			r.short = short
			q.sink.Synced(q.Synced())
		}
	}
}

// measureWindows measures those of which a member came or went that was no row
// here before or after.
func (c *Core) measureWindows(m *move) {
	for _, w := range m.windows {
		if w.current() && !w.q.res.short {
			c.measure(w.q)
		}
	}
}

// applyWindows takes what is in the windows on the server, and returns the
// results whose rows have to be read again for that.
func (c *Core) applyWindows(m *move) (short []*result) {
	for _, w := range m.windows {
		q := w.q
		if !w.current() || !q.Selection().Windowed() || q.remote.members == nil && !w.all {
			continue
		}
		if w.all {
			q.remote.members = map[id.ID]bool{}
		}
		for _, i := range w.in {
			q.remote.members[i] = true
		}
		for _, i := range w.out {
			delete(q.remote.members, i)
		}
		if !w.all {
			continue
		}
		q.res.rq.Allow(func(s *entity.State) bool { return q.remote.members[s.ID()] || c.pends[s.ID()] != nil })
		q.res.rq.Forget()
		if !q.res.short {
			q.res.short = true
			short = append(short, q.res)
		}
	}
	return short
}

// within returns the check of a client's window for a reader beside the core:
// what is in it on the server, and what pending events touched (S53).
func (c *Core) within(q *Query) func(*entity.State) bool {
	if q.remote == nil || q.remote.members == nil {
		return nil
	}
	in := maps.Clone(q.remote.members)
	for _, i := range c.PendingIn(q.Selection().Collection) {
		in[i] = true
	}
	return func(s *entity.State) bool { return in[s.ID()] }
}
