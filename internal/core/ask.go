package core

import (
	"errors"
	"reflect"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/value"
)

// ask wants entities by ID.
func (l *Link) ask(collection string, entities []wire.Known) *request {
	sorting.Sort(entities, func(a, b wire.Known) int { return a.Entity.Compare(b.Entity) })
	r := &request{collection: collection, answer: aRows}
	for k := range entities {
		if !l.epoch.IsZero() {
			entities[k].Rev = 0
		}
		r.want = append(r.want, entities[k].Entity)
	}
	n := l.number()
	l.requests[n] = r
	l.unmet = append(l.unmet, r)
	l.c.send(&l.Conn, &wire.Want{ID: n, Collection: collection, Entities: entities})
	return r
}

// want asks for states that a change did not fit, or that may be old. Live
// queries that may show them are synced again when the answer is there.
func (l *Link) want(keys []stateKey) {
	if l.err != nil || l.phase != open {
		return
	}
	asked := map[string][]wire.Known{}
	for _, k := range keys {
		if !l.wanting[k.entity] {
			l.wanting[k.entity] = true
			asked[k.collection] = append(asked[k.collection], wire.Known{Entity: k.entity})
		}
	}
	for _, collection := range sorting.Keys(asked) {
		r := l.ask(collection, asked[collection])
		for _, q := range l.c.inOrder() {
			if q.remote != nil && q.remote.synced && q.Selection().Collection == collection {
				l.c.setSynced(q, false)
				r.syncs = append(r.syncs, syncing{q, q.remote.id})
			}
		}
	}
}

// follow asks for what happens to a live query.
func (l *Link) follow(q *Query) {
	n := l.number()
	q.remote.id = n
	l.requests[n] = &request{q: q, answer: aRows}
	l.c.send(&l.Conn, l.query(n, q.remote.sel, q.Rows(), true))
}

// query makes the message for a selection of which rows are known.
func (l *Link) query(n uint64, sel *ankql.Selection, rows []*entity.State, live bool) *wire.Query {
	text, params := sel.Template()
	m := &wire.Query{ID: n, Collection: sel.Collection, Text: text, Live: live, Lenient: l.c.declared(sel.Collection)}
	for _, v := range params {
		m.Params = append(m.Params, value.Append(nil, v))
	}
	if l.epoch.IsZero() {
		m.Known = l.c.known(rows)
	}
	return m
}

// known returns what is known of rows, by their bases.
func (c *Core) known(rows []*entity.State) []wire.Known {
	var out []wire.Known
	for _, s := range rows {
		rev := c.baseRev(s.ID(), s.Rev())
		refused := rev > 0 && c.holdsRefused(s)
		if refused {
			rev = 0 // it is there, in a state that nobody has: let it be sent
		}
		if rev > 0 || refused {
			out = append(out, wire.Known{Entity: s.ID(), Rev: rev})
		}
	}
	sorting.Sort(out, func(a, b wire.Known) int { return a.Entity.Compare(b.Entity) })
	return out[:min(len(out), maxKnown)]
}

// holdsRefused reports whether a row has events on top that were refused
// meanwhile: rows whose references are being read are older than what is
// published.
func (c *Core) holdsRefused(s *entity.State) bool {
	return c.pends[s.ID()] == nil && c.tips[s.ID()] == nil &&
		slices.ContainsFunc(s.Head(), func(t event.Tip) bool { return c.dropped.has(t.ID) })
}

// baseRev returns the rev of an entity's base, of which the published state has
// rev shown. What is in flight counts: a refusal that is not published has
// taken pending events off already, and a rev that counts them is none of the
// server's.
func (c *Core) baseRev(i id.ID, shown uint64) uint64 {
	if p := c.pends[i]; p != nil {
		return p.base.Rev()
	}
	if tp := c.tips[i]; tp != nil {
		return tp.state.Rev()
	}
	return shown
}

// maxKnown is how many rows a query says it knows: more do not fit into a
// message. It gets the others again.
const maxKnown = 200_000

// declared reports whether a program declares a model of the collection, so
// that its fields exist even if the server has not met them.
func (c *Core) declared(collection string) bool {
	m := c.Model(collection)
	return m != nil && m.Name != ""
}

// Fetch asks the server for a selection. done gets the IDs of its rows when
// what they hold is applied here; rows are those known.
func (c *Core) Fetch(sel *ankql.Selection, rows []*entity.State, done func(rows []id.ID, err error)) (cancel func()) {
	return c.askServer(aRows, func(l *Link, n uint64) wire.Message { return l.query(n, sel, rows, false) },
		func(r *request, err error) { done(r.rows, err) })
}

// CountRemote asks the server for the number of rows.
func (c *Core) CountRemote(sel *ankql.Selection, done func(n uint64, err error)) (cancel func()) {
	return c.askServer(aCount, func(l *Link, n uint64) wire.Message {
		m := l.query(n, sel, nil, false)
		m.Count = true
		return m
	}, func(r *request, err error) { done(r.n, err) })
}

// Want asks the server for one entity.
func (c *Core) Want(collection string, i id.ID, rev uint64, done func(err error)) (cancel func()) {
	rev = c.baseRev(i, rev)
	return c.askServer(aRows, func(l *Link, n uint64) wire.Message {
		if !l.epoch.IsZero() {
			rev = 0
		}
		return &wire.Want{ID: n, Collection: collection, Entities: []wire.Known{{Entity: i, Rev: rev}}}
	}, func(_ *request, err error) { done(err) })
}

// HistoryRemote asks the server for an entity's events.
func (c *Core) HistoryRemote(collection string, i id.ID, done func(events []Past, err error)) (cancel func()) {
	return c.askServer(aHistory, func(_ *Link, n uint64) wire.Message {
		return &wire.History{ID: n, Collection: collection, Entity: i}
	}, func(r *request, err error) {
		var all []Past
		for _, m := range r.events {
			part, failed := decodePasts(collection, i, m)
			err = errors.Join(err, failed)
			all = append(all, part...)
		}
		done(all, err)
	})
}

// Describe asks the server what it knows of a collection's schema, or with ""
// of all, and takes it up.
func (c *Core) Describe(collection string, done func(err error)) (cancel func()) {
	return c.askServer(aSchema, func(_ *Link, n uint64) wire.Message {
		return &wire.Describe{ID: n, Collection: collection}
	}, func(_ *request, err error) { done(err) })
}

// learnModels takes up properties that this node does not know. What it
// declares itself stays.
func (c *Core) learnModels(models [][]byte) error {
	for _, b := range models {
		m, err := decodeModel(b)
		if err != nil {
			return err
		}
		if known := c.Model(m.Collection); known == nil {
			m.Name, m.Indexes = "", nil
			c.putModel(m)
		} else if known.Name == "" {
			c.learn(m.Collection, m.Properties)
		}
	}
	return nil
}

// SyncRemote calls done when the server has answered everything that was asked
// before, and it is applied here.
func (c *Core) SyncRemote(done func(err error)) (cancel func()) {
	return c.askServer(aSyncPoint, func(_ *Link, n uint64) wire.Message { return &wire.Sync{ID: n} },
		func(_ *request, err error) { done(err) })
}

func (c *Core) askServer(answer reflect.Type, make func(l *Link, n uint64) wire.Message, done func(r *request, err error)) (cancel func()) {
	if !c.Connected() {
		done(&request{}, &linkError{"there is no connection to a durable node", ErrDisconnected})
		return func() {}
	}
	l := c.link
	n := l.number()
	l.requests[n] = &request{answer: answer, done: done}
	c.send(&l.Conn, make(l, n))
	return func() {
		if l.requests[n] != nil {
			delete(l.requests, n)
			c.send(&l.Conn, &wire.Cancel{ID: n})
		}
	}
}

// Edited reports whether entities that a selection reads have pending events.
func (c *Core) Edited(sel *ankql.Selection) bool {
	pending := len(c.PendingIn(sel.Collection)) > 0
	for k := range sel.Links {
		pending = pending || len(c.PendingIn(sel.Links[k].Collection)) > 0
	}
	return pending
}

// PendingIn returns the entities of a collection with pending events.
func (c *Core) PendingIn(collection string) []id.ID {
	var out []id.ID
	for i, p := range c.pends {
		if p.events[0].Collection == collection {
			out = append(out, i)
		}
	}
	return out
}

// PendingEvents returns the pending events of an entity.
func (c *Core) PendingEvents(i id.ID) []*event.Event {
	if p := c.pends[i]; p != nil {
		return slices.Clone(p.events)
	}
	return nil
}

// Past is an event of a history. Base is the state before it where that is not
// what the event before led to, since there are others between.
type Past struct {
	Event *event.Event
	Base  *entity.State
}

func decodePasts(collection string, i id.ID, m *wire.Events) ([]Past, error) {
	out := make([]Past, len(m.Events))
	for k, b := range m.Events {
		var err error
		if out[k].Event, err = event.Decode(b); err != nil {
			return nil, err
		}
	}
	for _, x := range m.Bases {
		if x.At >= uint64(len(out)) {
			return nil, &malformedChange{errors.New("a state before an event that is not there")}
		}
		var err error
		if out[x.At].Base, err = entity.Decode(collection, i, x.State); err != nil {
			return nil, &malformedChange{err}
		}
	}
	return out, nil
}
