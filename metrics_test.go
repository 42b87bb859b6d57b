package ankurah_test

import (
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// meter keeps what a node measured. Of times it keeps how many there were.
type meter struct {
	mu     sync.Mutex
	values map[string]int
}

func (m *meter) add(name string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] += n
}

func (m *meter) Count(name string, n int)          { m.add(name, n) }
func (m *meter) Time(name string, _ time.Duration) { m.add(name, 1) }
func (m *meter) Gauge(name string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = n
}

func TestMetrics(t *testing.T) {
	m := &meter{values: map[string]int{}}
	n, err := ankurah.OpenNode(t.Context(), memory.New(), &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := n.Session(policy.Principal{})
	id := create(t, s, ankurah.Fields{"name": "x", "year": 2001})
	v, err := albums.Get(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	rename := func(tx *ankurah.Tx) error {
		tx.Require(v)
		e, err := albums.Edit(tx, id)
		if err != nil {
			return err
		}
		return e.Set("name", "y")
	}
	if err := s.Update(t.Context(), rename); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), rename); !errors.Is(err, ankurah.ErrConflict) {
		t.Fatalf("second rename: %v", err)
	}
	for range 2 {
		if _, err := albums.Query(t.Context(), s, "year > 2000"); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{
		ankurah.MetricCommits: 2, ankurah.MetricRefused: 1, ankurah.MetricCommitTime: 3,
		ankurah.MetricWrites: 3, ankurah.MetricWriteTime: 3, // the system is one
		ankurah.MetricLiveQueries: 2,
	}
	if !maps.Equal(m.values, want) {
		t.Errorf("measured %v, want %v", m.values, want)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if got := m.values[ankurah.MetricLiveQueries]; got != 0 {
		t.Errorf("%d live queries after Close", got)
	}
}
