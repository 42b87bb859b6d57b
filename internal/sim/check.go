package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

const (
	collection = "thing"
	unlucky    = 13       // what no user may write
	secretTag  = "secret" // what hidden entities have, and no frame may hold
)

// agent lets no user write an unlucky number, or read what is hidden.
type agent struct{ open bool }

func (agent) Authenticate(_ context.Context, credential []byte) (policy.Principal, error) {
	return policy.Principal{Subject: string(credential)}, nil
}

func (a agent) ReadFilter(p policy.Principal, _ string) (ankql.Expr, error) {
	if p.Subject == "" || a.open {
		return nil, nil
	}
	return ankql.ParseExpr("hidden IS NULL OR hidden = FALSE")
}

func (agent) CheckWrite(p policy.Principal, w policy.Write) error {
	if n := w.After.Value("n"); p.Subject != "" && n.Kind() == value.KindInt64 && n.Int() == unlucky {
		return &policy.DeniedError{Subject: p.Subject, Collection: collection, Rule: "no unlucky number"}
	}
	return nil
}

// promises are what nodes have told their users, and what users may hold them
// to.
type promises struct {
	committed map[event.TxID]bool // that the server acknowledged
	forgiven  map[event.TxID]bool // that were lost with a store that was replaced
	secret    map[id.ID]bool      // entities that were never to be seen
	joint     [][]part            // commits of the server that touched several entities
	restores  int                 // how often the server's store was replaced by an older one
	kept      *disk               // the backup
	keptAt    map[event.TxID]bool // committed by then
	truths    map[truth]*fact     // states that the server had
}

type part struct {
	entity id.ID
	rev    uint64
}

type truth struct {
	entity id.ID
	rev    uint64
}

// fact is a state and its encoding.
type fact struct {
	state   *entity.State
	encoded string
}

func newPromises() promises {
	return promises{
		committed: map[event.TxID]bool{}, forgiven: map[event.TxID]bool{}, secret: map[id.ID]bool{}, truths: map[truth]*fact{},
	}
}

// own is a transaction of which its user was told that it is committed.
type own struct {
	n        *node
	tx       event.TxID
	denied   bool // a rule is against it
	requires bool
	creates  []id.ID
	changes  []id.ID
	refers   []id.ID
	events   map[id.ID]bool
	tips     []id.ID // of what it changes
	done     bool    // the node that made it was told the outcome
	refused  error
	life     int // of the node, when it made it
	required []storage.Require
	wrote    []written
}

// written is a property that a transaction wrote.
type written struct {
	entity id.ID
	key    string
	event  id.ID
}

// builds reports whether o builds on another transaction of its node.
func (o *own) builds(on *own) bool {
	return slices.ContainsFunc(o.tips, func(t id.ID) bool { return on.events[t] }) ||
		slices.ContainsFunc(o.refers, func(i id.ID) bool { return slices.Contains(on.creates, i) })
}

// made returns the events of a transaction that the node has just stored, none
// of one that was decided on at once.
func (n *node) made(tx event.TxID) (events []*event.Event, err error) {
	snap, err := n.disk.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	ctx := context.Background()
	if n.agent == nil {
		for o, err := range outbox(ctx, snap) {
			if err != nil {
				return nil, err
			}
			if o.Tx == tx {
				return decodeEvents(o.Events)
			}
		}
		return nil, nil // what it builds on was refused meanwhile
	}
	b, _, err := snap.Tx(ctx, tx)
	if err != nil {
		return nil, err
	}
	touched, err := book.DecodeRecord(b)
	for _, t := range touched {
		for e, err := range snap.Events(ctx, t.Collection, t.Entity, t.First, t.Last) {
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
	}
	return events, err
}

// outbox reads what waits for a server.
func outbox(ctx context.Context, snap storage.Snapshot) iter.Seq2[*wire.Submit, error] {
	return func(yield func(*wire.Submit, error) bool) {
		for w, err := range snap.MetaRange(ctx, []byte("outbox/"), []byte("outbox0")) {
			var m wire.Message
			if err == nil {
				m, err = wire.Decode(w.Value)
			}
			o, _ := m.(*wire.Submit)
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

func decodeEvents(encoded [][]byte) (out []*event.Event, err error) {
	for _, b := range encoded {
		e, err := event.Decode(b)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// wrote remembers what a node was told to be committed, and so what it is
// promised.
func (w *World) wrote(o *own, after []*entity.State) {
	n := o.n
	if n.isServer() {
		w.committed[o.tx] = true
		w.remember(o.tx)
	}
	made, err := n.made(o.tx)
	if err != nil {
		w.fail(err)
		return
	}
	o.events = map[id.ID]bool{}
	for _, e := range made {
		o.events[e.ID] = true
	}
	for _, s := range after {
		for _, p := range s.Entries() {
			if o.events[p.Last] {
				o.wrote = append(o.wrote, written{s.ID(), p.Key, p.Last})
			}
		}
	}
	n.own = append(n.own, o)
	if n.isServer() {
		return
	}
	o.confirm()
}

// confirm waits for what becomes of a client's transaction.
func (o *own) confirm() {
	w := o.n.w
	o.n.core.Confirm(o.tx, func(err error) {
		o.done = true
		if o.refused = err; err == nil && !w.committed[o.tx] {
			w.committed[o.tx] = true
			w.remember(o.tx)
		}
	})
}

// checkWrites checks that users see their own writes, or later ones, until
// those are refused or their entity is withdrawn; the clients' of this life, as
// long as they are pending, since a server may be restored.
func (n *node) checkWrites() {
	if n.w.load.skew && !n.isServer() {
		return // events may have been made again
	}
	for _, o := range n.own[max(0, len(n.own)-20):] {
		if o.done || o.life != n.life {
			continue
		}
		for _, x := range o.wrote {
			s := n.visible(x.entity)
			if s == nil && !n.isServer() {
				continue
			}
			if p := s.Entry(x.key); p == nil || p.Last.Less(x.event) {
				n.w.failf("%s does not see what it has written to %s of %s", n.name, x.key, x.entity)
			}
		}
	}
}

// remember notes what a stored transaction did to several entities.
func (w *World) remember(tx event.TxID) {
	snap, err := w.server.disk.Snapshot()
	if err != nil {
		w.fail(err)
		return
	}
	defer snap.Close()
	b, ok, err := snap.Tx(context.Background(), tx)
	if err != nil || !ok {
		w.fail(err)
		return // its store was replaced
	}
	touched, err := book.DecodeRecord(b)
	w.fail(err)
	var parts []part
	for _, t := range touched {
		parts = append(parts, part{t.Entity, t.Last})
	}
	if len(parts) > 1 {
		w.joint = append(w.joint[max(0, len(w.joint)-100):], parts)
	}
}

// taint looks for what must not cross the wire (S38).
func (w *World) taint(frame []byte) {
	if bytes.Contains(frame, []byte(secretTag)) {
		w.failf("what is hidden crosses the wire")
	}
	for i := range w.secret {
		if bytes.Contains(frame, i[:]) {
			w.failf("%s, which is hidden, is named on the wire", i)
		}
	}
}

// inspect checks a frame that leaves the server: nothing hidden is in it, and
// nothing that is not written (S23), or that never was so.
func (w *World) inspect(frame []byte) {
	w.taint(frame)
	m, err := wire.Decode(frame)
	if err != nil {
		w.fail(err)
		return
	}
	var changes []wire.Change
	switch m := m.(type) {
	case *wire.Push:
		changes = m.Changes
	case *wire.Rows:
		changes = m.Changes
	case *wire.Ack:
		changes = m.Changes
		if !w.stored(m.Tx) {
			w.failf("transaction %s is acknowledged and not written", m.Tx)
		}
	}
	for k := range changes {
		x := &changes[k]
		if x.Removed {
			continue
		}
		f := w.fact(x.Entity, x.After)
		switch {
		case f == nil:
			w.failf("rev %d of %s is sent and not written", x.After, x.Entity)
		case len(x.State) > 0:
			if string(x.State) != f.encoded {
				w.failf("rev %d of %s is sent in a state that it never had", x.After, x.Entity)
			}
		case !f.state.Head().Equal(x.Head):
			w.failf("rev %d of %s is sent with a head that it never had", x.After, x.Entity)
		case len(x.Events) > 0:
			w.fail(w.leads(x, f))
		}
	}
}

// inspectClaims checks a frame that leaves a client: what it says that it knows
// the server has had (S35).
func (w *World) inspectClaims(frame []byte) {
	m, err := wire.Decode(frame)
	if err != nil {
		w.fail(err)
		return
	}
	var known []wire.Known
	switch m := m.(type) {
	case *wire.Query:
		known = m.Known
	case *wire.Want:
		known = m.Entities
	}
	for _, k := range known {
		if k.Rev > 0 && w.restores == 0 && w.fact(k.Entity, k.Rev) == nil {
			w.failf("a client says that it knows rev %d of %s, which the server never had", k.Rev, k.Entity)
		}
	}
}

// leads checks that the events of a change lead from the one rev to the other.
func (w *World) leads(x *wire.Change, to *fact) error {
	var s *entity.State
	if x.Before > 0 {
		from := w.fact(x.Entity, x.Before)
		if from == nil {
			return fmt.Errorf("rev %d of %s is said to be before, and is not written", x.Before, x.Entity)
		}
		s = from.state
	}
	for _, b := range x.Events {
		e, err := event.Decode(b)
		if err == nil {
			s, err = s.Apply(kinds, e)
		}
		if err != nil {
			return err
		}
	}
	if string(s.Append(nil)) != to.encoded {
		return fmt.Errorf("the events of %s that are sent do not lead from rev %d to %d", x.Entity, x.Before, x.After)
	}
	return nil
}

// stored reports whether a transaction is on the server's disk.
func (w *World) stored(tx event.TxID) bool {
	snap, err := w.server.disk.Snapshot()
	if err != nil {
		w.fail(err)
		return false
	}
	defer snap.Close()
	_, ok, err := snap.Tx(context.Background(), tx)
	w.fail(err)
	return ok
}

// Run lets things happen, then heals everything, lets it come to rest, and
// checks what must be true. It returns what was not; a panic is one such thing.
func (w *World) Run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			if w.opts.Trace != nil { // not in the digest: addresses differ
				_, _ = w.opts.Trace.Write(debug.Stack())
			}
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	for w.step = range w.opts.Steps {
		if w.failure != nil {
			return w.failure
		}
		w.something()
		for range w.r.IntN(12) {
			w.next(w.everybody()...)
		}
		w.now += uint64(w.r.IntN(50))
	}
	w.heal()
	if w.failure == nil {
		w.fail(w.check())
	}
	return w.failure
}

// heal brings everything up and lets it come to rest.
func (w *World) heal() {
	w.note("everything heals")
	for round := 0; round < 60 && w.failure == nil; round++ {
		for _, n := range w.servers {
			w.raise(n)
		}
		for _, n := range w.clients {
			n.away = 0
			w.restart(n)
		}
		for range 200_000 {
			if !w.next(w.everybody()...) {
				break
			}
		}
		w.now += 2000
		w.tick()
		if w.atRest() {
			return
		}
	}
	if w.failure == nil {
		w.failf("the world does not come to rest: %s", w.describe())
	}
}

// lull leaves everything as it is until nothing more happens: who is connected
// has everything then, without a new connection (S32).
func (w *World) lull() {
	w.note("nobody does anything for a while")
	for range 20 {
		for range 20_000 {
			if !w.next(w.everybody()...) {
				break
			}
		}
		w.now += 2000
		w.tick()
	}
	if w.failure != nil || len(w.choices(w.everybody()...)) > 0 {
		return
	}
	for _, n := range w.servers {
		if n.core == nil || n.core.Broken() != nil {
			return
		}
	}
	w.fail(w.checkAlike())
	for _, n := range w.clients {
		if n.core == nil || n.core.Broken() != nil || !n.core.Connected() {
			continue
		}
		if p := n.core.Pending(); p > 0 {
			w.failf("%s is connected, nothing happens, and %d of its transactions are not answered", n.name, p)
		}
		for _, q := range n.queries {
			if q.failed == nil && !q.q.Synced() {
				w.failf("%s is connected, nothing happens, and %q is not synced", n.name, q.text)
			}
		}
		for _, q := range n.totals {
			if q.failed == nil && !q.q.Synced() {
				w.failf("%s is connected, nothing happens, and %q is not synced", n.name, q.text)
			}
		}
		w.fail(w.checkQueries(n))
	}
}

func (w *World) atRest() bool {
	if len(w.choices(w.everybody()...)) > 0 {
		return false
	}
	for _, n := range w.servers {
		if n.core == nil || n.core.Broken() != nil {
			return false
		}
	}
	for _, n := range w.clients {
		if n.core == nil || !n.core.Connected() || n.core.Pending() > 0 {
			return false
		}
		for _, q := range n.queries {
			if q.failed == nil && !q.q.Synced() {
				return false
			}
		}
		for _, q := range n.totals {
			if q.failed == nil && !q.q.Synced() {
				return false
			}
		}
	}
	return true
}

func (w *World) describe() string {
	var b strings.Builder
	for _, n := range w.clients {
		if n.core == nil {
			fmt.Fprintf(&b, "%s is down; ", n.name)
			continue
		}
		fmt.Fprintf(&b, "%s: connected %t, %d pending, %d tasks", n.name, n.core.Connected(), n.core.Pending(), len(n.tasks))
		for _, q := range n.queries {
			fmt.Fprintf(&b, ", %q synced %t failed %v", q.text, q.q.Synced(), q.failed)
		}
		for _, q := range n.totals {
			fmt.Fprintf(&b, ", %q synced %t failed %v", q.text, q.q.Synced(), q.failed)
		}
		b.WriteString("; ")
	}
	return b.String()
}

// check is what must be true at rest.
func (w *World) check() error {
	snap, err := w.server.current()
	if err != nil {
		return err
	}
	defer snap.Release()
	stored := func(tx event.TxID) bool {
		_, ok, err := snap.Tx(context.Background(), tx)
		w.fail(err)
		return ok
	}
	for tx := range w.committed {
		if !w.forgiven[tx] && !stored(tx) {
			return fmt.Errorf("transaction %s was acknowledged and is not there", tx)
		}
	}
	if err := w.checkLeftovers(); err != nil {
		return err
	}
	if err := w.checkAlike(); err != nil {
		return err
	}
	if err := w.checkLate(); err != nil {
		return err
	}
	server := map[id.ID]*entity.State{}
	for _, s := range w.server.published() {
		server[s.ID()] = s
		w.note("%x", s.Append(nil))
	}
	for _, n := range w.distinct() {
		if err := n.checkImage(); err != nil {
			return err
		}
	}
	for _, n := range w.clients {
		if err := w.checkOwn(n, stored); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		if err := w.checkClient(n, server); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
	}
	return nil
}

// checkLeftovers looks for what nobody ended: connections, live queries (S56).
func (w *World) checkLeftovers() error {
	queries, held, peers := 0, 0, 0
	for _, n := range w.everybody() {
		queries += len(n.queries) + len(n.totals)
	}
	for _, n := range w.servers {
		held += n.core.Queries()
		peers += n.core.Peers()
	}
	if held != queries {
		return fmt.Errorf("the server has %d live queries, there are %d", held, queries)
	}
	if peers != len(w.clients) {
		return fmt.Errorf("the server has %d connections, there are %d clients", peers, len(w.clients))
	}
	return nil
}

// checkOwn looks for what became of a client's transactions: all are stored or
// refused, for a reason, and what builds on a refused one is refused (S27-S29).
func (w *World) checkOwn(n *node, stored func(event.TxID) bool) error {
	rejected, err := n.rejected()
	if err != nil {
		return err
	}
	ghosts := len(rejected) // commits of which a crash left nobody to be told
	for _, o := range n.own {
		if rejected[o.tx] != nil {
			ghosts--
		}
	}
	gone := func(o *own) bool { return o.refused != nil || rejected[o.tx] != nil }
	for _, o := range n.own {
		switch {
		case w.forgiven[o.tx]:
		case gone(o) && stored(o.tx):
			return fmt.Errorf("transaction %s was refused and is stored", o.tx)
		case gone(o) && rejected[o.tx] == nil:
			return fmt.Errorf("transaction %s was refused and is not in the list of those", o.tx)
		case !gone(o) && !stored(o.tx):
			return fmt.Errorf("transaction %s was committed here and is nowhere", o.tx)
		case stored(o.tx):
			if err := w.checkRequired(o); err != nil {
				return err
			}
			if k := slices.IndexFunc(n.own, func(on *own) bool { return gone(on) && o.builds(on) }); k >= 0 {
				return fmt.Errorf("transaction %s is stored and builds on %s, which was refused", o.tx, n.own[k].tx)
			}
		case !o.denied && !o.requires && !w.mayVanish(o) && ghosts == 0 && !w.renamed(rejected[o.tx]) && !slices.ContainsFunc(n.own, func(on *own) bool { return gone(on) && o.builds(on) }):
			return fmt.Errorf("transaction %s was refused for no reason: %w", o.tx, rejected[o.tx])
		}
	}
	return nil
}

// renamed reports whether a transaction was refused for building on another,
// in a world where events are made again: which builds on which is not known
// then, since they have other names.
func (w *World) renamed(why error) bool {
	return w.load.skew && errors.Is(why, core.ErrDependsOnRefused)
}

// checkRequired checks that what a stored transaction required was so when it
// was stored (S21).
func (w *World) checkRequired(o *own) error {
	if len(o.required) == 0 || w.load.skew || w.restores > 0 {
		return nil // events may have been made again, or revs
	}
	snap, err := w.server.disk.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	b, _, err := snap.Tx(context.Background(), o.tx)
	if err != nil {
		return err
	}
	touched, err := book.DecodeRecord(b)
	if err != nil {
		return err
	}
	for _, r := range o.required {
		for _, t := range touched {
			if t.Entity != r.Entity {
				continue
			}
			if f := w.fact(t.Entity, t.First-1); f == nil || !f.state.Head().Equal(r.Head) {
				return fmt.Errorf("transaction %s is stored, though %s had moved", o.tx, r.Entity)
			}
		}
	}
	return nil
}

// mayVanish reports whether what a transaction changes may have been withdrawn
// from its node.
func (w *World) mayVanish(o *own) bool {
	return len(o.changes) > 0 && (!w.open && w.load.edits.hide > 0 || w.restores > 0)
}

// rejected returns the transactions in a client's list of refused ones.
func (n *node) rejected() (map[event.TxID]error, error) {
	out := map[event.TxID]error{}
	snap, err := n.disk.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	lo, hi := core.RejectedRange()
	for m, err := range snap.MetaRange(context.Background(), lo, hi) {
		if err != nil {
			return nil, err
		}
		r, err := core.DecodeRejected(m.Key, m.Value)
		if err != nil {
			return nil, err
		}
		out[r.Tx] = r.Reason
	}
	return out, nil
}

func (w *World) checkClient(n *node, server map[id.ID]*entity.State) error {
	for _, s := range n.published() {
		if !w.isServers(s) {
			return fmt.Errorf("it holds %s at rev %d in a state that the server never had (S25)", s.ID(), s.Rev())
		}
		if s.Value("tag").Text() == secretTag {
			return fmt.Errorf("it holds %s, which is hidden", s.ID())
		}
		if now := server[s.ID()]; now == nil || now.Rev() < s.Rev() {
			return fmt.Errorf("it holds %s at rev %d, the server does not", s.ID(), s.Rev())
		}
	}
	return w.checkQueries(n)
}

// checkQueries holds the live queries of a client that is at rest against what
// the server answers.
func (w *World) checkQueries(n *node) error {
	for _, q := range n.queries {
		if q.failed != nil {
			return fmt.Errorf("query %q: %w", q.text, q.failed)
		}
		want, err := w.fresh(q.text)
		if err != nil {
			return err
		}
		if got := q.q.Rows(); !sameRows(got, want) {
			return fmt.Errorf("query %q has rows %s, the server %s", q.text, list(got), list(want))
		}
	}
	for _, q := range n.totals {
		if err := q.checkServer(); err != nil {
			return err
		}
	}
	return nil
}

// isServers reports whether the server has, or had, just this state.
func (w *World) isServers(s *entity.State) bool {
	f := w.fact(s.ID(), s.Rev())
	return f != nil && f.encoded == string(s.Append(nil))
}

// fact returns the state of an entity at a rev in the server's store, nil when
// it is not there, or not yet.
func (w *World) fact(i id.ID, rev uint64) *fact {
	at := truth{i, rev}
	f := w.truths[at]
	if f == nil {
		s, err := w.server.at(i, rev)
		w.fail(err)
		if s == nil {
			return nil
		}
		f = &fact{s, string(s.Append(nil))}
		w.truths[at] = f
	}
	return f
}

// at replays the history of an entity up to a rev; nil when it has no such.
func (n *node) at(i id.ID, rev uint64) (*entity.State, error) {
	snap, err := n.disk.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	var s *entity.State
	for e, err := range snap.Events(context.Background(), collection, i, 1, rev) {
		if err == nil {
			s, err = s.Apply(kinds, e)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.Rev() != rev {
		return nil, nil
	}
	return s, nil
}

// fresh is what the server answers to a query of a user's.
func (w *World) fresh(text string) ([]*entity.State, error) {
	sel, err := w.bind(w.server, text)
	if err != nil {
		return nil, err
	}
	sel, allow, err := w.server.core.Narrow(sel, policy.Principal{Subject: "user"})
	if err != nil {
		return nil, err
	}
	snap, err := w.server.current()
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	rows, _, err := core.Collect(context.Background(), snap, sel, allow)
	return rows, err
}

// checkImage checks what a disk holds, at rest or after a crash.
func (n *node) checkImage() error {
	check := n.checkPending
	if n.agent != nil {
		check = n.checkApplied
	}
	if err := check(); err != nil {
		return fmt.Errorf("the disk of %s: %w", n.name, err)
	}
	return nil
}

// checkApplied checks that stored is applied: states are what the events give,
// in the order of their arrival and in the order of their IDs; events' parents
// are stored; heads are what no event has for a parent (S8-S10, S12, S17).
func (n *node) checkApplied() error {
	states, err := n.disk.known()
	if err != nil {
		return err
	}
	snap, err := n.disk.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	for _, s := range states {
		var events []*event.Event
		for e, err := range snap.Events(context.Background(), collection, s.ID(), 1, s.Rev()+1) {
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		if uint64(len(events)) != s.Rev() {
			return fmt.Errorf("%s is at rev %d and has %d events", s.ID(), s.Rev(), len(events))
		}
		hidden := false // before the event
		k := 0
		arrived, err := replay(events, func(s *entity.State) error {
			if hidden && events[k].Actor != "" && !n.w.open {
				return fmt.Errorf("a user wrote to %s, which was hidden, at rev %d (S38)", s.ID(), s.Rev())
			}
			hidden = s.Value("hidden").Bool()
			k++
			if n := s.Value("n"); n.Kind() == value.KindInt64 && n.Int() == unlucky {
				return fmt.Errorf("%s is against a rule at rev %d", s.ID(), s.Rev())
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !same(arrived, s) {
			return fmt.Errorf("the state of %s is not what its events give", s.ID())
		}
		id.SortBy(events, func(e *event.Event) id.ID { return e.ID })
		sorted, err := replay(events, func(*entity.State) error { return nil })
		if err != nil {
			return err
		}
		if !same(sorted, s) {
			return fmt.Errorf("the state of %s depends on the order of its events", s.ID())
		}
	}
	return nil
}

// replay applies events, whose parents must come before them, and calls each
// with every state.
func replay(events []*event.Event, each func(*entity.State) error) (s *entity.State, err error) {
	had, superseded := map[id.ID]bool{}, map[id.ID]bool{}
	for _, e := range events {
		for _, p := range e.Parents {
			if !had[p] {
				return nil, fmt.Errorf("the parent %s of %s is not before it", p, e.ID)
			}
			superseded[p] = true
		}
		if had[e.ID] {
			return nil, fmt.Errorf("event %s is there twice", e.ID)
		}
		had[e.ID] = true
		if s, err = s.Apply(kinds, e); err != nil {
			return nil, err
		}
		if err := each(s); err != nil {
			return nil, err
		}
	}
	for _, t := range s.Head() {
		if superseded[t.ID] {
			return nil, fmt.Errorf("%s is in the head of %s and a parent", t.ID, s.ID())
		}
	}
	if len(had)-len(superseded) != len(s.Head()) {
		return nil, fmt.Errorf("%s has %d tips and %d in its head", s.ID(), len(had)-len(superseded), len(s.Head()))
	}
	return s, nil
}

// checkPending checks that what a client shows is its bases with the outbox
// applied (S26).
func (n *node) checkPending() error {
	if n.disk.Engine == nil {
		return nil
	}
	snap, err := n.disk.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	ctx := context.Background()
	shown := map[id.ID]*entity.State{}
	want := map[id.ID]*entity.State{}
	for m, err := range snap.MetaRange(ctx, []byte("base/"), []byte("base0")) {
		if err != nil {
			return err
		}
		i, err := id.FromBytes(m.Key[len("base/"):])
		if err != nil {
			return err
		}
		if want[i], err = decodeBase(i, m.Value); err != nil {
			return err
		}
	}
	for o, err := range outbox(ctx, snap) {
		if err != nil {
			return err
		}
		events, err := decodeEvents(o.Events)
		if err != nil {
			return err
		}
		for _, e := range events {
			s, based := want[e.Entity]
			if !based {
				return fmt.Errorf("%s has pending events and no base", e.Entity)
			}
			if s.Head().Contains(e.ID) {
				continue
			}
			if next, err := s.Apply(kinds, e); err == nil {
				want[e.Entity] = next
			}
		}
	}
	states, err := n.disk.known()
	if err != nil {
		return err
	}
	for _, s := range states {
		shown[s.ID()] = s
	}
	for i, s := range want {
		switch got := shown[i]; {
		case s == nil && got == nil:
		case s == nil || got == nil || !same(s, got):
			return fmt.Errorf("%s is not its base with what is pending on top", i)
		}
	}
	return nil
}

func decodeBase(i id.ID, b []byte) (s *entity.State, err error) {
	r := pb.NewReader("base", b)
	for r.Next() {
		switch r.Num {
		case 2:
			s, err = entity.Decode(collection, i, r.Bytes())
		default:
			r.Bytes()
		}
	}
	return s, errors.Join(err, r.Err())
}
