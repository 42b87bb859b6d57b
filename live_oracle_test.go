package ankurah_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

var oracleRounds = flag.Int("oracle.rounds", 12, "rounds of the live-query oracle per engine")

// declared lets a bare schema stand in NodeOptions.Models.
type declared struct{ m *schema.Model }

func (d declared) Model() *schema.Model { return d.m }

// S52, S22, S51: under random commits every live query, whatever its
// predicate, order and limit, holds what a fresh Fetch gives after every
// commit, and folding its change sets gives the same rows.
func TestLiveIsFresh(t *testing.T) {
	for name, open := range oracleEngines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checks := 0
			for seed := range uint64(*oracleRounds) {
				checks += liveRound(t, open(t), seed)
			}
			t.Logf("%d (query, commit) pairs", checks)
		})
	}
}

// watched is one live query with the rows that its change sets lead to.
type watched struct {
	text   string
	args   []any
	q      *ankurah.LiveQuery[ankurah.Record]
	sets   chan ankurah.ChangeSet[ankurah.Record]
	folded map[ankurah.ID]ankurah.Record
}

func (w *watched) fold(t *testing.T, cs ankurah.ChangeSet[ankurah.Record]) {
	for _, c := range cs.Changes {
		_, there := w.folded[c.ID()]
		switch {
		case c.Kind == ankurah.Removed && there:
			delete(w.folded, c.ID())
		case (c.Kind == ankurah.Initial || c.Kind == ankurah.Added) && !there, c.Kind == ankurah.Updated && there:
			w.folded[c.ID()] = c.After
		default:
			t.Fatalf("%s %v: %v of a row that is there: %v", w.text, w.args, c.Kind, there)
		}
		if c.Kind == ankurah.Updated && len(c.Events) == 0 {
			t.Fatalf("%s: updated without a cause", w.text)
		}
	}
}

func liveRound(t *testing.T, eng storage.Engine, seed uint64) (checks int) {
	r := rand.New(rand.NewPCG(seed, 7))
	m := ankqltest.Model()
	n := openNode(t, eng, &ankurah.NodeOptions{Policy: policy.Permissive{}, Models: []ankurah.AnyCollection{declared{m}}})
	s, ctx := n.Session(policy.Principal{}), t.Context()
	c := ankurah.Dynamic(m.Collection)
	var ids []ankurah.ID
	commit := func() {
		t.Helper()
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			for range 1 + r.IntN(4) {
				if len(ids) < 5 || r.IntN(4) == 0 {
					e, err := c.Create(tx, &ankurah.Fields{})
					if err != nil {
						return err
					}
					ids = append(ids, e.ID())
				}
				id := ids[r.IntN(len(ids))]
				if err := randomEdit(r, m, c, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	for range 20 {
		commit()
	}
	var queries []*watched
	for range 20 {
		w := &watched{sets: make(chan ankurah.ChangeSet[ankurah.Record], 1000), folded: map[ankurah.ID]ankurah.Record{}}
		w.text, w.args = ankqltest.RandomQuery(r, m)
		q, err := c.Query(ctx, s, w.text, w.args...)
		if err != nil {
			t.Fatalf("seed %d: %s %v: %v", seed, w.text, w.args, err)
		}
		w.q = q
		defer q.Close()
		q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) { w.sets <- cs })
		queries = append(queries, w)
	}
	for range 40 {
		commit()
		for _, w := range queries {
			fresh, err := c.Fetch(ctx, s, w.text, w.args...)
			if err != nil {
				t.Fatalf("seed %d: %s %v: %v", seed, w.text, w.args, err)
			}
			if diff := settled(eng, func() string { return differ(w.q.Rows(), fresh) }); diff != "" {
				t.Fatalf("seed %d: %s %v: live rows are not fresh: %s", seed, w.text, w.args, diff)
			}
			checks++
		}
	}
	for _, w := range queries {
		rows := w.q.Rows()
		for !sameSet(w.folded, rows) {
			w.fold(t, <-w.sets) // a missing change set is a test that does not end
		}
		if !sameSet(w.folded, rows) {
			t.Fatalf("seed %d: %s %v: change sets lead elsewhere", seed, w.text, w.args)
		}
	}
	return checks
}

func randomEdit(r *rand.Rand, m *schema.Model, c ankurah.Collection[ankurah.Fields, ankurah.Record, *ankurah.Edit], tx *ankurah.Tx, id ankurah.ID) error {
	if r.IntN(12) == 0 {
		if err := c.Restore(tx, id); err != nil {
			return ignoreMissing(err)
		}
	}
	e, err := c.Edit(tx, id)
	if err != nil {
		return ignoreMissing(err)
	}
	if r.IntN(10) == 0 {
		return e.Delete()
	}
	for range 1 + r.IntN(4) {
		p := m.Properties[r.IntN(len(m.Properties))]
		if err := e.Set(p.Key, ankqltest.RandomValue(r, p)); err != nil {
			return err
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if _, missing := err.(*ankurah.NotFoundError); missing {
		return nil
	}
	return err
}

func differ(live, fresh []ankurah.Record) string {
	for k := range max(len(live), len(fresh)) {
		switch {
		case k >= len(live):
			return fmt.Sprintf("row %d is missing: %v", k, fresh[k].ID())
		case k >= len(fresh):
			return fmt.Sprintf("row %d is too many: %v", k, live[k].ID())
		case !live[k].SameVersion(fresh[k].View):
			return fmt.Sprintf("row %d is %v, not %v", k, live[k].ID(), fresh[k].ID())
		}
	}
	return ""
}

func sameSet(folded map[ankurah.ID]ankurah.Record, rows []ankurah.Record) bool {
	if len(folded) != len(rows) {
		return false
	}
	for _, r := range rows {
		if f, there := folded[r.ID()]; !there || !f.SameVersion(r.View) {
			return false
		}
	}
	return true
}
