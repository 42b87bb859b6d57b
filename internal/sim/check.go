package sim

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/core"
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
// stored reports whether a transaction is on the server's disk.
func (w *World) stored(tx event.TxID) bool {
	snap, err := w.server.disk.Snapshot()
	if err != nil {
		w.fail(err)
		return false
	}
	defer snap.Close()
	ok, err := isStored(snap, tx)
	w.fail(err)
	return ok
}

// isStored reports whether a transaction is stored: there is a record of it that
// is not a fence.
func isStored(snap storage.Snapshot, tx event.TxID) (bool, error) {
	b, ok, err := snap.Tx(context.Background(), tx)
	if !ok || err != nil {
		return false, err
	}
	fence, err := book.DecodeFence(b)
	return fence == nil, err
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
	for _, n := range w.servers {
		n.asleep = min(n.asleep, w.now)
	}
	w.wake()
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
		w.wake()
		w.tick()
	}
	if w.failure != nil || len(w.choices(w.everybody()...)) > 0 {
		return
	}
	for _, n := range w.servers {
		if n.core == nil || n.core.Broken() != nil || n.asleep > 0 {
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
		ok, err := isStored(snap, tx)
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
		case !o.denied && !o.requires && !w.mayVanish(o) && ghosts == 0 && !w.renamed(rejected[o.tx]) && !slices.ContainsFunc(n.own, func(on *own) bool { return gone(on) && o.mayBuild(on) }):
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
