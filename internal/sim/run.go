package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

const collection = "thing"

// agent lets nobody write the number 13, or read what is hidden.
type agent struct{}

func (agent) Authenticate(_ context.Context, credential []byte) (policy.Principal, error) {
	return policy.Principal{Subject: string(credential)}, nil
}

func (agent) ReadFilter(p policy.Principal, _ string) (ankql.Expr, error) {
	if p.Subject == "" {
		return nil, nil
	}
	return ankql.ParseExpr("hidden IS NULL OR hidden = FALSE")
}

func (agent) CheckWrite(p policy.Principal, w policy.Write) error {
	if n := w.After.Value("n"); n.Kind() == value.KindInt64 && n.Int() == 13 {
		return &policy.DeniedError{Subject: p.Subject, Collection: collection, Rule: "no thirteen"}
	}
	return nil
}

// texts are the live queries of clients.
var texts = []string{
	"", "n > 5", "n < 10 AND tag = 'a'", "ORDER BY n LIMIT 3", "tag = 'b' ORDER BY n DESC LIMIT 2",
	"NOT (n = 3) ORDER BY tag, n LIMIT 4", "tag IS NULL", "n IN (1, 2, 3) ORDER BY n LIMIT 1",
}

// Run lets things happen, then heals everything, lets it come to rest, and
// checks what must be true. It returns what was not.
func (w *World) Run() error {
	for range w.opts.Steps {
		if w.failure != nil {
			return w.failure
		}
		w.something()
		for range w.r.IntN(12) {
			w.step(w.everybody()...)
		}
		w.now += uint64(w.r.IntN(50))
	}
	w.heal()
	return w.check()
}

// something is one act of the world or of a user.
func (w *World) something() {
	n := w.clients[w.r.IntN(len(w.clients))]
	switch k := w.r.IntN(100); {
	case k == 99 && w.opts.Skew:
		if w.r.IntN(3) == 0 {
			n = w.server
		}
		w.note("the clock of " + n.name + " jumps")
		n.skew = w.skew()
	case k < 3 && w.opts.Crashes:
		if w.r.IntN(3) == 0 {
			n = w.server
		}
		if n.core != nil {
			n.crash()
		}
	case k < 8 && w.opts.Cuts:
		if n.up != nil {
			w.note("cut " + n.name)
			n.up.cut()
		}
	case k < 25:
		w.restore(n)
	case k < 35 && n.core != nil:
		w.ask(n)
	case k < 38:
		w.now += 3000
		w.tick()
	case k < 50 && w.server.core != nil:
		w.edit(w.server, "")
	case n.core != nil:
		w.edit(n, "user")
	}
}

// restore brings what is down up again.
func (w *World) restore(n *node) {
	for _, x := range []*node{w.server, n} {
		if x.core == nil {
			w.note(x.name + " starts")
			w.fail(x.start())
		}
	}
	w.connect(n)
}

func (w *World) tick() {
	for _, n := range w.everybody() {
		if n.core != nil {
			n.core.Tick()
		}
	}
}

// sink is a live query's.
type sink struct{ q *query }

func (sink) Ready()                      {}
func (sink) Changed([]reactor.RowChange) {}
func (s sink) Failed(err error)          { s.q.failed = err }
func (s sink) Synced(synced bool)        { s.q.synced = synced }

// ask begins or ends a live query.
func (w *World) ask(n *node) {
	if len(n.queries) > 3 {
		k := w.r.IntN(len(n.queries))
		n.core.Unsubscribe(n.queries[k].q)
		n.queries = slices.Delete(n.queries, k, k+1)
		return
	}
	q := &query{text: texts[w.r.IntN(len(texts))]}
	sel, err := ankql.BindTemplate(q.text, nil, nil, collection)
	if err != nil {
		w.fail(err)
		return
	}
	q.q = n.core.Subscribe(sel, nil, sink{q})
	n.core.Follow(q.q)
	n.queries = append(n.queries, q)
}

// edit commits a transaction of one to three edits.
func (w *World) edit(n *node, subject string) {
	if n.core.Root().IsZero() {
		return
	}
	req := &core.Request{Principal: policy.Principal{Subject: subject}}
	for k := range req.ID {
		req.ID[k] = byte(w.r.Uint32())
	}
	known := w.known(n)
	for range 1 + w.r.IntN(3) {
		if len(known) == 0 || w.r.IntN(4) == 0 {
			birth, i, err := n.core.NewEntity(collection)
			if err != nil {
				w.fail(err)
				return
			}
			req.Edits = append(req.Edits, core.Edit{Collection: collection, Entity: i, Birth: &birth, Ops: w.ops(n)})
			continue
		}
		k := w.r.IntN(len(known))
		s := known[k]
		known = slices.Delete(known, k, k+1)
		if w.r.IntN(20) == 0 {
			req.Requires = append(req.Requires, storage.Require{Collection: collection, Entity: s.ID(), Head: s.Head()})
		}
		req.Edits = append(req.Edits, core.Edit{Collection: collection, Entity: s.ID(), Base: s, Ops: w.ops(n)})
	}
	life, alone := n.life, n.up == nil && len(n.tasks) == 0 && n != w.server
	req.Done = func(after []*entity.State, err error) {
		if err != nil && !errors.Is(err, core.ErrConflict) && !errors.Is(err, core.ErrDependsOnRefused) && !errors.Is(err, core.ErrClosed) && !errors.Is(err, policy.ErrDenied) && !errors.Is(err, entity.ErrGenesis) { // withdrawn meanwhile
			w.failf("%s cannot commit: %w", n.name, err)
		}
		if err != nil || n.life != life {
			return
		}
		w.wrote(n, req, after, alone && n.up == nil)
	}
	n.core.Commit(req)
}

// known returns the entities that a node holds, in order.
func (w *World) known(n *node) []*entity.State {
	snap, err := n.core.Current()
	if err != nil {
		w.fail(err)
		return nil
	}
	defer snap.Release()
	var out []*entity.State
	for s, err := range snap.All(context.Background(), collection) {
		w.fail(err)
		if s != nil {
			out = append(out, s)
		}
	}
	return out
}

func (w *World) ops(n *node) []event.Operation {
	var ops []event.Operation
	if w.r.IntN(3) > 0 {
		ops = append(ops, lww.Set("n", value.Int64(w.r.Int64N(20))))
	}
	if w.r.IntN(3) == 0 || len(ops) == 0 {
		ops = append(ops, lww.Set("tag", value.String(string(rune('a'+w.r.IntN(3))))))
	}
	if w.r.IntN(10) == 0 {
		ops = append(ops, entity.SetDeleted(w.r.IntN(2) == 0))
	}
	if n == w.server && w.r.IntN(6) == 0 {
		ops = append(ops, lww.Set("hidden", value.Bool(w.r.IntN(2) == 0)))
	}
	entity.SortOps(ops)
	return ops
}

// wrote checks that a node reads its own writes, and remembers what it was
// promised. With nobody to talk to, and nothing left to do of what was said
// before, nothing else can have changed what it wrote.
func (w *World) wrote(n *node, req *core.Request, after []*entity.State, alone bool) {
	for _, s := range after {
		if got := n.visible(s.ID()); alone && (got == nil || got.Rev() < s.Rev()) {
			w.failf("%s does not see %s, which it has just written", n.name, s.ID())
		}
	}
	if n == w.server {
		w.committed[req.ID] = true
		return
	}
	n.own = append(n.own, own{tx: req.ID})
	at := len(n.own) - 1
	life := n.life
	n.core.Confirm(req.ID, func(err error) {
		if n.life == life {
			n.own[at].done = true
		}
		if err == nil {
			w.committed[req.ID] = true
		}
	})
}

// heal brings everything up and lets it come to rest.
func (w *World) heal() {
	for round := 0; round < 60 && w.failure == nil; round++ {
		for _, n := range w.clients {
			w.restore(n)
		}
		for range 200_000 {
			if !w.step(w.everybody()...) {
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

func (w *World) atRest() bool {
	if len(w.choices(w.everybody()...)) > 0 {
		return false
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
		b.WriteString("; ")
	}
	return b.String()
}

// check is what must be true at rest.
func (w *World) check() error {
	if w.failure != nil {
		return w.failure
	}
	snap, err := w.server.core.Current()
	if err != nil {
		return err
	}
	defer snap.Release()
	for tx := range w.committed {
		if _, ok, err := snap.Tx(context.Background(), tx); err != nil || !ok {
			return fmt.Errorf("transaction %s was acknowledged and is not there (%w)", tx, err)
		}
		if w.refused[tx] {
			return fmt.Errorf("transaction %s was acknowledged and refused", tx)
		}
	}
	server := map[id.ID]*entity.State{}
	for _, s := range w.known(w.server) {
		server[s.ID()] = s
	}
	for _, n := range w.clients {
		if err := w.checkClient(n, server); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
	}
	for _, s := range w.known(w.server) {
		w.note(string(s.Append(nil)))
	}
	return nil
}

func (w *World) checkClient(n *node, server map[id.ID]*entity.State) error {
	for _, own := range n.own {
		if !own.done {
			return fmt.Errorf("nothing was ever heard of transaction %s", own.tx)
		}
	}
	for _, s := range w.known(n) {
		was, err := w.server.at(s.ID(), s.Rev())
		if err != nil {
			return err
		}
		if was == nil || string(was.Append(nil)) != string(s.Append(nil)) {
			return fmt.Errorf("it holds %s at rev %d in a state that the server never had (S25)", s.ID(), s.Rev())
		}
	}
	for _, q := range n.queries {
		if q.failed != nil {
			return fmt.Errorf("query %q: %w", q.text, q.failed)
		}
		want, err := w.fresh(q)
		if err != nil {
			return err
		}
		got := q.q.Rows()
		if !slices.EqualFunc(got, want, func(a, b *entity.State) bool { return string(a.Append(nil)) == string(b.Append(nil)) }) {
			return fmt.Errorf("query %q has rows %s, the server %s", q.text, list(got), list(want))
		}
	}
	return nil
}

// at replays the history of an entity up to a rev; nil when it has no such.
func (n *node) at(i id.ID, rev uint64) (*entity.State, error) {
	snap, err := n.core.Current()
	if err != nil {
		return nil, err
	}
	defer snap.Release()
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

func list(rows []*entity.State) string {
	var parts []string
	for _, s := range rows {
		parts = append(parts, fmt.Sprintf("%s r%d n=%s tag=%s", s.ID().String()[18:], s.Rev(), s.Value("n"), s.Value("tag")))
	}
	return "[" + strings.Join(parts, "; ") + "]"
}

// fresh is what the server answers to a query of a user's.
func (w *World) fresh(q *query) ([]*entity.State, error) {
	sel, err := ankql.BindTemplate(q.text, nil, nil, collection)
	if err != nil {
		return nil, err
	}
	sel, allow, err := w.server.core.Narrow(sel, policy.Principal{Subject: "user"})
	if err != nil {
		return nil, err
	}
	snap, err := w.server.core.Current()
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	rows, err := core.Collect(context.Background(), snap, sel, allow)
	return rows, errors.Join(err)
}
