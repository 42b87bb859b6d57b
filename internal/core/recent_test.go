package core

import (
	"testing"

	"github.com/ankurah/ankurah-go/event"
)

// S33: what a node remembers of refusals does not grow with its life; the
// newest are there, and so is all of the latest operation, however much it is.
func TestRecentForgets(t *testing.T) {
	var r recent[int, int]
	n := 0
	for _, batch := range []int{1, 5 * keptRecent, 1, keptRecent, keptRecent, 1, 1} {
		r.age()
		first := n
		for range batch {
			r.put(n, n)
			n++
		}
		for k := max(0, min(first, n-keptRecent)); k < n; k++ {
			if v, ok := r.get(k); !ok || v != k {
				t.Fatalf("%d of %d is forgotten", k, n)
			}
		}
	}
	for range 10 * keptRecent {
		r.age()
		r.put(n, n)
		n++
	}
	if held := len(r.now) + len(r.before); held > 2*keptRecent || r.has(0) {
		t.Errorf("%d entries are kept of %d", held, n)
	}
}

// S26, S33: who does not wait for the word on a transaction any more is
// forgotten.
func TestConfirmingGoes(t *testing.T) {
	c, _ := bootCore(t, 1, nil, false)
	o := &outTx{id: event.TxID{1}}
	c.enqueue(o)
	told := 0
	cancel := c.Confirm(o.id, func(error) { t.Error("told who does not wait") })
	c.Confirm(o.id, func(error) { told++ })
	cancel()
	cancel()
	if len(o.waiters) != 1 {
		t.Errorf("%d wait", len(o.waiters))
	}
	for _, w := range o.waiters {
		w.done(nil)
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
