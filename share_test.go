package ankurah_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// S58: equal queries, however they are written and whoever asks, are one
// result, and all hear of every change.
func TestEqualQueriesShareOneResult(t *testing.T) {
	c := ankurahtest.New(t, nil)
	s := c.Session("alice")
	one := create(t, s, ankurah.Fields{"name": "a", "year": 1})
	texts := []string{"name = 'a' AND year = 1", "year = 1 AND name = 'a'", "NOT (name <> 'a' OR year <> 1)", "1 = year AND name = 'a' AND 1 < 2"}
	var heard atomic.Int64
	var queries []*ankurah.LiveQuery[ankurah.Record]
	for k := range 40 {
		as := c.Session(fmt.Sprint("user", k))
		if k%8 == 0 {
			as = c.Client(fmt.Sprint("phone", k)).Session
		}
		q, err := albums.Query(t.Context(), as, texts[k%len(texts)])
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
			for range cs.Removed() {
				heard.Add(1)
			}
		})
		queries = append(queries, q)
	}
	c.Settle()
	before := c.Server().Stats()
	if before.LiveQueries != 40 || before.Results != 1 {
		t.Fatalf("%d live queries are %d results", before.LiveQueries, before.Results)
	}
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, one)
		if err != nil {
			return err
		}
		return e.Set("year", 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Settle()
	if n := c.Server().Stats().Offered - before.Offered; n != 1 {
		t.Errorf("the commit was evaluated %d times", n)
	}
	within(t, "everybody hears", func() bool { return heard.Load() == 40 })
	// Some leave, some ask for something else: the others notice nothing.
	for k, q := range queries {
		switch k % 3 {
		case 0:
			q.Close()
		case 1:
			if err := q.SetSelection(t.Context(), "year = 2"); err != nil {
				t.Fatal(err)
			}
			if n := len(q.Rows()); n != 1 {
				t.Errorf("query %d has %d rows after it was changed", k, n)
			}
		default:
			if n := len(q.Rows()); n != 0 {
				t.Errorf("query %d has %d rows", k, n)
			}
		}
	}
	c.Settle()
	if st := c.Server().Stats(); st.Results != 2 {
		t.Errorf("%d results are left", st.Results)
	}
	for _, q := range queries {
		q.Close()
	}
	c.Settle()
	if st := c.Server().Stats(); st.Results != 0 || st.LiveQueries != 0 {
		t.Errorf("%+v is left", st)
	}
}

// S60: filters are part of the selection, so principals with different rights
// share nothing; checks of single entities are not compared.
func TestRightsAreNotShared(t *testing.T) {
	agent, err := policy.Rules{Collections: map[string][]policy.Rule{"album": {{Read: "owner = :subject", Write: "TRUE"}}}}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		agent   policy.Agent
		results int
	}{"filters": {agent, 2}, "checks": {checking{}, 4}} {
		n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: c.agent})
		for _, who := range []string{"alice", "bob"} {
			create(t, n.Session(policy.Principal{Subject: who}), ankurah.Fields{"owner": who})
		}
		for _, who := range []string{"alice", "bob", "alice", "bob"} {
			q, err := albums.Query(t.Context(), n.Session(policy.Principal{Subject: who}), "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(q.Close)
			if rows := q.Rows(); len(rows) != 1 || rows[0].Fields()["owner"] != who {
				t.Errorf("%s: %s sees %d rows", name, who, len(rows))
			}
		}
		if st := n.Stats(); st.Results != c.results {
			t.Errorf("%s: %d results, want %d", name, st.Results, c.results)
		}
	}
}

// checking looks at each entity.
type checking struct{ policy.Permissive }

func (checking) CheckRead(p policy.Principal, s *entity.State) error {
	if s.Value("owner").Text() != p.Subject {
		return policy.ErrDenied
	}
	return nil
}
