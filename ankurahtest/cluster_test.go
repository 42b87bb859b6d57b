package ankurahtest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest"
	"github.com/ankurah/ankurah-go/policy"
)

var notes = ankurah.Dynamic("note")

func write(t *testing.T, s *ankurah.Session, text string) (id ankurah.ID) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		n, err := notes.Create(tx, &ankurah.Fields{"text": text, "by": s.Principal().Subject})
		if err == nil {
			id = n.ID()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func set(t *testing.T, s *ankurah.Session, id ankurah.ID, field string, value any) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		n, err := notes.Edit(tx, id)
		if err != nil {
			return err
		}
		return n.Set(field, value)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func texts(t *testing.T, r ankurah.Reader) (out []string) {
	t.Helper()
	rows, err := notes.Fetch(t.Context(), r, "ORDER BY text")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		x, _ := r.Get("text")
		out = append(out, fmt.Sprint(x))
	}
	return out
}

// Two clients edit one entity while both are away: different properties both
// survive, of the same one the later edit, and all nodes agree (S13, S17).
func TestConcurrentEditsConverge(t *testing.T) {
	c := ankurahtest.New(t, nil)
	one, two := c.Client("one"), c.Client("two")
	id := write(t, one.Session, "start")
	c.Settle()
	if _, err := notes.Get(t.Context(), two.Session, id); err != nil {
		t.Fatal(err)
	}
	c.Cut(one)
	c.Cut(two)
	set(t, one.Session, id, "text", "by one")
	set(t, one.Session, id, "color", "red")
	set(t, two.Session, id, "size", 4)
	set(t, two.Session, id, "text", "by two")
	c.Heal(two)
	c.Heal(one)
	c.Settle()
	var all []string
	for _, s := range []*ankurah.Session{c.Session("x"), one.Session, two.Session} {
		v, err := notes.Get(t.Context(), s, id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v.String())
		if color, _ := v.Get("color"); color != "red" {
			t.Errorf("color %v", color)
		}
		if size, _ := v.Get("size"); size != int64(4) {
			t.Errorf("size %v", size)
		}
	}
	if all[0] != all[1] || all[1] != all[2] {
		t.Errorf("nodes disagree: %v", all)
	}
}

// Offline edits survive the end of the process and arrive in order (S26, S27,
// S30).
func TestOfflineEditsSurviveRestart(t *testing.T) {
	c := ankurahtest.New(t, nil)
	phone := c.Client("phone")
	id := write(t, phone.Session, "0")
	c.Settle()
	c.Cut(phone)
	for k := 1; k <= 5; k++ {
		set(t, phone.Session, id, "text", fmt.Sprint(k))
	}
	write(t, phone.Session, "other")
	c.Restart(phone)
	if got := phone.Pending(); got != 6 {
		t.Errorf("%d pending after the restart", got)
	}
	if got := texts(t, phone.Session); !slices.Equal(got, []string{"5", "other"}) {
		t.Errorf("offline after the restart: %v", got)
	}
	c.RestartServer()
	c.Heal(phone)
	c.Settle()
	if got := texts(t, c.Session("x")); !slices.Equal(got, []string{"5", "other"}) {
		t.Errorf("on the server: %v", got)
	}
	var values []any
	for e, err := range notes.History(t.Context(), c.Session("x"), id) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range e.Changes {
			if ch.Key == "text" {
				values = append(values, ch.After)
			}
		}
	}
	if fmt.Sprint(values) != "[0 1 2 3 4 5]" {
		t.Errorf("history: %v", values)
	}
}

// A refused transaction takes what builds on it with it, across entities, and
// only that; the rest stays (S28, S29, S61).
func TestRefusalTakesDependents(t *testing.T) {
	agent, err := policy.Rules{
		Collections: map[string][]policy.Rule{"note": {{Read: "TRUE", Write: "text != 'forbidden'"}}},
		Credentials: policy.Permissive{}.Authenticate,
	}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	rejected := make(chan *ankurah.RejectedError, 10)
	c := ankurahtest.New(t, &ankurahtest.Options{
		Server: ankurah.NodeOptions{Policy: agent},
		Client: ankurah.NodeOptions{OnRejected: func(e *ankurah.RejectedError) { rejected <- e }},
	})
	phone := c.Client("phone")
	kept := write(t, phone.Session, "kept")
	c.Settle()
	c.Cut(phone)
	bad := write(t, phone.Session, "forbidden")
	refers := kept
	err = phone.Session.Update(t.Context(), func(tx *ankurah.Tx) error {
		n, err := notes.Create(tx, &ankurah.Fields{"text": "refers", "to": bad})
		refers = n.ID()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	set(t, phone.Session, refers, "text", "builds on what refers")
	set(t, phone.Session, kept, "text", "kept and edited")
	c.Heal(phone)
	c.Settle()
	if got := texts(t, phone.Session); !slices.Equal(got, []string{"kept and edited"}) {
		t.Errorf("on the client: %v", got)
	}
	if got := texts(t, c.Session("x")); !slices.Equal(got, []string{"kept and edited"}) {
		t.Errorf("on the server: %v", got)
	}
	var reasons []error
	for range 3 {
		reasons = append(reasons, (<-rejected).Reason)
	}
	if !errors.Is(reasons[0], ankurah.ErrDenied) || !errors.Is(reasons[1], ankurah.ErrDependsOnRefused) || !errors.Is(reasons[2], ankurah.ErrDependsOnRefused) {
		t.Errorf("reasons: %v", reasons)
	}
	c.Restart(phone) // the list is kept
	n := 0
	for r, err := range phone.Rejected(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if err := r.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range phone.Rejected(t.Context()) {
		t.Error("a discarded transaction is still listed")
	}
	if n != 3 {
		t.Errorf("%d rejected transactions", n)
	}
	err = phone.Session.UpdateConfirmed(t.Context(), func(tx *ankurah.Tx) error {
		_, err := notes.Create(tx, &ankurah.Fields{"text": "forbidden"})
		return err
	})
	var rej *ankurah.RejectedError
	if !errors.As(err, &rej) || !errors.Is(err, ankurah.ErrDenied) {
		t.Errorf("UpdateConfirmed: %v", err)
	}
}

// A store belongs to one principal and one system (S30, S31); before it has
// met a durable node it can do nothing, and says so.
func TestWhoseStore(t *testing.T) {
	c := ankurahtest.New(t, nil)
	phone := c.Client("phone")
	write(t, phone.Session, "mine")
	_, err := notes.Fetch(t.Context(), phone.Node.Session(policy.Principal{Subject: "other"}), "")
	if !errors.Is(err, ankurah.ErrPrincipal) {
		t.Errorf("another principal: %v", err)
	}
}
