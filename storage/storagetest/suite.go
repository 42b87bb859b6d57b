package storagetest

import (
	"io"
	"iter"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/storage"
)

// Place is where one store lives: it can be opened again after it was closed.
type Place interface {
	Open() (storage.Engine, error)
}

// Config says what is tested and how.
type Config struct {
	// New returns a place for a new, empty store.
	New func(t *testing.T) Place
	// Exclusive says that a store cannot be opened twice at a time.
	Exclusive bool
	// Pairs is the number of generated queries; 0 means 50,000, a tenth of that
	// if [Slow].
	Pairs int
}

type suite struct{ Config }

// Run tests an engine against the contract of package storage.
func Run(t *testing.T, c Config) {
	if c.Pairs == 0 {
		c.Pairs = fewer(50_000)
	}
	s := &suite{c}
	t.Run("commit", s.commits)
	t.Run("claims", s.claims)
	t.Run("malformed", s.malformed)
	t.Run("random commits", s.randomCommits)
	t.Run("copies", s.copies)
	t.Run("history", s.history)
	t.Run("meta", s.meta)
	t.Run("collections", s.collections)
	t.Run("large", s.large)
	t.Run("break", s.breaks)
	t.Run("cancel", s.cancel)
	t.Run("close", s.closing)
	t.Run("readers", s.readers)
	t.Run("reopen", s.reopen)
	t.Run("build during commits", s.buildDuringCommits)
	t.Run("build interrupted", s.buildInterrupted)
	t.Run("groups", s.groups)
	t.Run("long texts", s.longTexts)
	t.Run("scans", s.scans)
}

// open opens a new store, which the test need not close.
func (s *suite) open(t *testing.T) storage.Engine {
	t.Helper()
	return mustOpen(t, s.New(t))
}

func mustOpen(t *testing.T, p Place) storage.Engine {
	t.Helper()
	e, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// reopened closes an engine and opens its place again.
func reopened(t *testing.T, p Place, e storage.Engine) storage.Engine {
	t.Helper()
	mustClose(t, e)
	return mustOpen(t, p)
}

func mustClose(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustSnapshot(t *testing.T, e storage.Engine) storage.Snapshot {
	t.Helper()
	s, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustCommit commits transactions of which none may be left out.
func mustCommit(t *testing.T, e storage.Engine, txs ...storage.Tx) {
	t.Helper()
	r, err := e.Commit(t.Context(), &storage.Batch{Txs: txs})
	if err != nil {
		t.Fatal(err)
	}
	for k, err := range r.Conflicts {
		if err != nil {
			t.Fatalf("transaction %d: %v", k, err)
		}
	}
}

// mustState returns a stored state, nil when it is absent.
func mustState(t *testing.T, snap storage.Snapshot, s *entity.State) *entity.State {
	t.Helper()
	got, err := snap.State(t.Context(), s.Collection(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func sameState(a, b *entity.State) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ID() == b.ID() && a.Collection() == b.Collection() && string(a.Append(nil)) == string(b.Append(nil))
}

// collect reads a sequence to its end or to its error.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for v, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
	return out, nil
}

// closeLater is mustClose for deferred calls: it does not hide a panic.
func closeLater(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// fewer returns n, or a tenth of it if the suite is slow.
func fewer(n int) int {
	if Slow {
		return n / 10
	}
	return n
}
