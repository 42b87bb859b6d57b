package postgres

import (
	"errors"
	"testing"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
)

// S23: a batch of which nobody can say whether it was applied, as its process's
// row has gone, is not tried again.
func TestDoubt(t *testing.T) {
	e, err := Open(t.Context(), pgtest.New(t), &Options{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	why := errors.New("unexpected EOF")
	if err := e.wasApplied(t.Context(), why); err != why || e.batch != 2 {
		t.Errorf("a batch that did not come: %v, number %d", err, e.batch)
	}
	if err := e.delist(t.Context(), e.writer); err != nil {
		t.Fatal(err)
	}
	var doubt *doubtError
	if err := e.wasApplied(t.Context(), why); !errors.As(err, &doubt) || lost(err) {
		t.Errorf("a batch whose process has no row: %v", err)
	}
}
