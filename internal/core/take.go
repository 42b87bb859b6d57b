package core

import (
	"reflect"

	"github.com/ankurah/ankurah-go/internal/wire"
)

// What an ephemeral node is told.

// take handles a message of an open connection.
func (l *Link) take(m wire.Message) {
	c := l.c
	switch m := m.(type) {
	case *wire.Ping:
		c.send(&l.Conn, &wire.Pong{N: m.N})
	case *wire.Pong:
	case *wire.Ack:
		if m.Changes, m.Results = l.whole(m.Changes, m.Results, m.More); m.More {
			return
		}
		steps := append(l.acks, step{ack: m})
		if l.acks = nil; m.Held {
			l.acks = steps
			return
		}
		l.apply(&move{steps: steps, windows: l.windows(m.Windows), results: l.results(m.Results)})
	case *wire.Refuse:
		l.refused(m)
	case *wire.Push:
		if m.Changes, m.Results = l.whole(m.Changes, m.Results, m.More); m.More {
			return
		}
		x := &move{}
		for k := range m.Changes {
			x.steps = append(x.steps, step{change: &m.Changes[k]})
		}
		x.windows, x.results = l.windows(m.Windows), l.results(m.Results)
		l.apply(x)
	case *wire.Rows:
		l.rows(m)
	case *wire.Groups:
		l.groups(m)
	case *wire.Counted:
		if r := l.answered(m.ID, m); r != nil {
			r.n = m.N
			r.done(r, nil)
		}
	case *wire.Events:
		if r := l.asked(m.ID, m); r != nil {
			r.events = append(r.events, m)
			if m.Done {
				delete(l.requests, m.ID)
				r.done(r, nil)
			}
		}
	case *wire.Described:
		if r := l.answered(m.ID, m); r != nil {
			r.done(r, c.learnModels(m.Models))
		}
	case *wire.Fail:
		l.failed(m)
	case *wire.Sync:
		if m.ID == l.syncID {
			l.synchronised()
		} else if r := l.answered(m.ID, m); r != nil {
			l.applyThen(&move{}, func(err error) { r.done(r, err) })
		}
	default:
		c.LinkGone(l, &linkError{"the server sent a message that only clients send", wire.ErrMalformed})
	}
}

// windows finds the live queries that the server speaks of.
func (l *Link) windows(list []wire.Window) (out []windowMove) {
	for _, w := range list {
		if r := l.requests[w.Query]; r != nil && r.q != nil {
			out = append(out, windowMove{syncing: syncing{r.q, w.Query}, in: w.In, out: w.Out})
		}
	}
	return out
}

// whole gathers the changes and the results of a message in parts.
func (l *Link) whole(changes []wire.Change, results []wire.Result, more bool) ([]wire.Change, []wire.Result) {
	if l.parts != nil {
		changes = append(l.parts, changes...)
	}
	if l.some != nil {
		results = append(l.some, results...)
	}
	if l.parts, l.some = nil, nil; more {
		l.parts, l.some = changes, results
	}
	return changes, results
}

// asked returns the request that m answers, nil when it was cancelled. A server
// that answers something else than it was asked loses the connection.
func (l *Link) asked(n uint64, m wire.Message) *request {
	r := l.requests[n]
	if r == nil {
		return nil
	}
	if reflect.TypeOf(m) != r.answer {
		l.c.LinkGone(l, &linkError{"the server's answer is not of the kind that was asked for", wire.ErrMalformed})
		return nil
	}
	return r
}

func (l *Link) answered(n uint64, m wire.Message) *request {
	r := l.asked(n, m)
	delete(l.requests, n)
	return r
}

// rows takes a part of an answer; all of it is applied at once.
func (l *Link) rows(m *wire.Rows) {
	r := l.asked(m.ID, m)
	if r == nil {
		return
	}
	for k := range m.Changes {
		r.parts.steps = append(r.parts.steps, step{change: &m.Changes[k]})
	}
	r.rows = append(r.rows, m.Result...)
	if !m.Done {
		return
	}
	x := &move{steps: r.parts.steps}
	r.parts = move{}
	switch {
	case r.q != nil:
		r.followed = true
		x.synced = append(x.synced, syncing{r.q, m.ID})
		x.windows = append(x.windows, windowMove{syncing: syncing{r.q, m.ID}, in: r.rows, all: true})
		r.rows = nil
	default:
		delete(l.requests, m.ID)
		for _, i := range r.want {
			delete(l.wanting, i)
		}
		x.answers = append(x.answers, r)
	}
	if r.done == nil {
		l.apply(x)
		return
	}
	l.applyThen(x, func(err error) { r.done(r, err) })
}

// failed takes the failure of a request or of a live query.
func (l *Link) failed(m *wire.Fail) {
	r := l.requests[m.ID]
	delete(l.requests, m.ID)
	err := &remoteError{m.Code, m.Text}
	switch {
	case r == nil:
	case r.q != nil && m.Code.Passes():
		q := r.q
		l.c.setSynced(q, false)
		l.later(func() {
			if !q.closed && q.next == nil && q.remote.id == m.ID {
				l.follow(q)
			}
		})
	case r.q != nil:
		l.c.failQuery(r.q, err)
	case r.aggregate != nil && m.Code.Passes():
		q := r.aggregate
		l.c.setAggregateSynced(q, false)
		l.later(func() {
			if !q.closed && q.remote.id == m.ID {
				l.followAggregate(q)
			}
		})
	case r.aggregate != nil:
		l.c.failAggregate(r.aggregate, err)
	case r.done != nil:
		r.done(r, err)
	default: // states that a change did not fit
		for _, i := range r.want {
			delete(l.wanting, i)
		}
		l.later(func() {
			var again []wire.Known
			for _, i := range r.want {
				again = append(again, wire.Known{Entity: i})
			}
			l.met(r)
			l.ask(r.collection, again).syncs = r.syncs
		})
	}
}

// later does something again after a while.
func (l *Link) later(f func()) {
	l.again = append(l.again, f)
	if c := l.c; c.retryAt == 0 {
		c.retryAt = c.ex.Elapsed() + retryDelay
	}
}

// refused takes a refusal: a final one drops the transaction, any other leaves
// it for another time (S28).
func (l *Link) refused(m *wire.Refuse) {
	c := l.c
	o := c.outByID[m.Tx]
	if o == nil {
		return
	}
	err := &remoteError{m.Code, m.Text}
	switch {
	case m.Code.Final():
		l.apply(&move{steps: []step{{refusal: &refusal{m.Tx, err}}}})
	case m.Code == wire.UnknownParent && c.outbox[0] == o && o.first == l:
		// Nothing that is still to be sent can bring the parent. If another server
		// may have the transaction, this one has to say so for all of them.
		l.apply(&move{steps: []step{{refusal: &refusal{m.Tx, &linkError{"what it changes is not there any more: " + m.Text, ErrDependsOnRefused}}}}})
	case m.Code == wire.Unauthenticated:
		c.LinkGone(l, err)
	default:
		o.sent = false
		if m.Code == wire.TooEarly {
			c.early = true
			c.setOffset(int64(m.Now) - int64(c.ex.Now()))
		}
		c.retryAt = c.ex.Elapsed() + retryDelay
	}
}
