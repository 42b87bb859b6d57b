package ankurah_test

import (
	"errors"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

type hidingAgent struct{ policy.Permissive }

func (hidingAgent) ReadFilter(p policy.Principal, _ string) (ankql.Expr, error) {
	if p.Subject == "root" {
		return nil, nil
	}
	return ankql.ParseExpr("hidden IS NULL")
}

// S16, S38: the history of an entity that could not always be read; and of one
// that is not there.
func TestHistoryOfWhatWasHidden(t *testing.T) {
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: hidingAgent{}})
	root := server.Session(policy.Principal{Subject: "root"})
	id := create(t, root, ankurah.Fields{"name": "x", "hidden": "secret"})
	update(t, root, id, ankurah.Fields{"hidden": nil})
	update(t, root, id, ankurah.Fields{"name": "y"})
	client := openClient(t)
	_, end := tapped(t, client, server, "alice", nil)
	defer end()
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := client.Session(policy.Principal{Subject: "alice"})
	if rows, err := albums.Fetch(t.Context(), s, ""); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	for _, err := range albums.History(t.Context(), s, id) {
		if err != nil {
			t.Errorf("at the client: %v", err)
		}
	}
	// The same on the server, by a session of the same principal.
	for e, err := range albums.History(t.Context(), server.Session(policy.Principal{Subject: "alice"}), id) {
		if err != nil {
			t.Errorf("at the server: %v", err)
		}
		for _, c := range e.Changes {
			if c.Before == "secret" || c.After == "secret" {
				t.Errorf("the server's own History shows alice %s = %v, then %v, which was hidden from her", c.Key, c.Before, c.After)
			}
		}
	}
	for _, err := range albums.History(t.Context(), s, ankurah.ID{1}) {
		if !errors.Is(err, ankurah.ErrNotFound) {
			t.Errorf("the history of nothing: %v", err)
		}
	}
}
