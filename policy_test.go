package ankurah_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

func rulesNode(t *testing.T) *ankurah.Node {
	agent, err := policy.Rules{Collections: map[string][]policy.Rule{
		"album": {
			{Name: "owners edit their albums", Role: "*", Read: "owner = :subject OR public", Write: "owner = :subject"},
			{Name: "curators see everything", Role: "curator", Read: "TRUE"},
		},
	}}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	return openNode(t, memory.New(), &ankurah.NodeOptions{Policy: agent})
}

// S60, S38: rows outside the read condition look absent at every reading
// place; a denied write names the rule and leaves nothing.
func TestRulesHoldEverywhere(t *testing.T) {
	n, ctx := rulesNode(t), t.Context()
	alice, bob := n.Session(policy.Principal{Subject: "alice"}), n.Session(policy.Principal{Subject: "bob"})
	curator := n.Session(policy.Principal{Subject: "carol", Roles: []string{"curator"}})
	nobody := n.Session(policy.Principal{})
	secret := create(t, alice, ankurah.Fields{"name": "secret", "owner": "alice", "public": false})
	public := create(t, alice, ankurah.Fields{"name": "public", "owner": "alice", "public": true})
	live, err := albums.Query(ctx, bob, "ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	for who, want := range map[*ankurah.Session]int{alice: 2, bob: 1, curator: 2, nobody: 0} {
		rows, err := albums.Fetch(ctx, who, "")
		if err != nil || len(rows) != want {
			t.Errorf("%q fetches %v, %v; want %d rows", who.Principal().Subject, names(rows), err, want)
		}
		if k, err := albums.Count(ctx, who, ""); err != nil || int(k) != want {
			t.Errorf("%q counts %d, %v; want %d", who.Principal().Subject, k, err, want)
		}
		_, err = albums.Get(ctx, who, secret)
		if visible := err == nil; visible != (want == 2) || err != nil && !errors.Is(err, ankurah.ErrNotFound) {
			t.Errorf("%q gets the secret: %v", who.Principal().Subject, err)
		}
		for _, err := range albums.History(ctx, who, secret) {
			if visible := err == nil; visible != (want == 2) {
				t.Errorf("%q reads the secret's history: %v", who.Principal().Subject, err)
			}
		}
	}
	write := func(s *ankurah.Session, id ankurah.ID, key string, x any) error {
		return s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, id)
			if err != nil {
				return err
			}
			return e.Set(key, x)
		})
	}
	if err := write(bob, secret, "name", "x"); !errors.Is(err, ankurah.ErrNotFound) {
		t.Errorf("writing what one cannot read: %v", err)
	}
	err = write(bob, public, "owner", "bob")
	if !errors.Is(err, ankurah.ErrDenied) || !strings.Contains(err.Error(), "owners edit their albums") {
		t.Errorf("taking an album over: %v", err)
	}
	if err := write(curator, public, "name", "x"); !errors.Is(err, ankurah.ErrDenied) {
		t.Errorf("a curator writes: %v", err)
	}
	if got := names(live.Rows()); len(got) != 1 || got[0] != "public" {
		t.Errorf("bob's live query: %v", got)
	}
	if err := write(alice, public, "public", false); err != nil {
		t.Fatal(err)
	}
	if got := names(live.Rows()); len(got) != 0 {
		t.Errorf("bob's live query after the album became private: %v", got)
	}
}

func TestRulesNameTheirMistakes(t *testing.T) {
	_, err := policy.Rules{Collections: map[string][]policy.Rule{"album": {{Role: "editor", Read: "owner = "}}}}.Agent()
	if err == nil || !strings.Contains(err.Error(), "policy of album, rule 1 for editor, read condition") {
		t.Fatalf("error: %v", err)
	}
}

// A newcomer's mistakes get answers that say what to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	ctx := t.Context()
	eng := memory.New()
	if _, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true}); err == nil || !strings.Contains(err.Error(), "policy.Permissive{}") {
		t.Errorf("no policy: %v", err)
	}
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	s := n.Session(policy.Principal{})
	tx := s.Begin()
	if _, err := albums.Create(tx, &ankurah.Fields{"name": "x"}); !errors.Is(err, ankurah.ErrNoSystem) || !strings.Contains(err.Error(), "EnsureSystem") {
		t.Errorf("no system: %v", err)
	}
	if err := n.EnsureSystem(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.CreateSystem(ctx); !errors.Is(err, ankurah.ErrSystemExists) {
		t.Errorf("second system: %v", err)
	}
	id := create(t, s, ankurah.Fields{"name": "x", "year": 2001})
	for query, want := range map[string]string{
		"yaer = 1":     `did you mean "year"`,
		"year = 'abc'": "'abc' is not a number",
		"year = ":      "column 8",
		"year = ?":     "parameter",
	} {
		if _, err := albums.Fetch(ctx, s, query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", query, err, want)
		}
	}
	err = s.Update(ctx, func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, id)
		if err != nil {
			return err
		}
		_ = e.Set("year", "soon") // the transaction remembers
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "album.year") {
		t.Errorf("wrong type: %v", err)
	}
	tx = s.Begin()
	tx.Rollback()
	if err := tx.Commit(ctx); !errors.Is(err, ankurah.ErrTxDone) || !strings.Contains(err.Error(), "begin another") {
		t.Errorf("commit after rollback: %v", err)
	}
	if _, err := ankurah.Dynamic("_system").Create(s.Begin(), &ankurah.Fields{}); !errors.Is(err, ankurah.ErrReserved) {
		t.Errorf("system collection: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, func(tx *ankurah.Tx) error { return albums.Delete(tx, id) }); !errors.Is(err, ankurah.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
}

// S60: a fact of a principal is text; it is compared as what the property is.
func TestRulesCompareByType(t *testing.T) {
	agent, err := policy.Rules{Collections: map[string][]policy.Rule{
		"user":  {{Read: "TRUE", Write: "TRUE"}},
		"album": {{Read: "owner = :user", Write: "owner = :user"}},
		"track": {{Read: "owner != :user", Write: "TRUE"}},
	}}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: agent})
	anybody := n.Session(policy.Principal{Subject: "x"})
	var owner ankurah.ID
	err = anybody.Update(t.Context(), func(tx *ankurah.Tx) error {
		u, err := ankurah.Dynamic("user").Create(tx, &ankurah.Fields{"name": "x"})
		if err != nil {
			return err
		}
		owner = u.ID()
		_, err = ankurah.Dynamic("track").Create(tx, &ankurah.Fields{"owner": owner})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s := n.Session(policy.Principal{Subject: "x", Claims: map[string]string{"user": owner.String()}})
	for range 2 { // the second finds the type known
		create(t, s, ankurah.Fields{"owner": owner})
	}
	for collection, want := range map[string]int64{"album": 2, "track": 0} {
		if got, err := ankurah.Dynamic(collection).Count(t.Context(), s, ""); err != nil || got != want {
			t.Errorf("%s: %d rows, %v; want %d", collection, got, err, want)
		}
	}
}
