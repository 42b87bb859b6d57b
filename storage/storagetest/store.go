package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/storage/kv"
)

// RunStore tests an ordered store against the contract of [kv.Store]: random
// batches, compared with a map.
func RunStore(t *testing.T, open func(t *testing.T) kv.Store) {
	t.Run("random", func(t *testing.T) {
		for seed := range uint64(4) {
			runStore(t, open(t), rand.New(rand.NewPCG(seed, 1)))
		}
	})
	t.Run("preconditions", func(t *testing.T) { preconditions(t, open(t)) })
}

// view is a snapshot with what it has to hold.
type view struct {
	snap kv.Snapshot
	want map[string]string
}

func runStore(t *testing.T, s kv.Store, r *rand.Rand) {
	t.Helper()
	defer closeLater(t, s)
	model := map[string]string{}
	var views []view
	for round := range 400 {
		n := r.IntN(8)
		if round == 0 || r.IntN(50) == 0 {
			n = 500
		}
		b := &kv.Batch{}
		for range n {
			w := kv.Write{Key: randomKey(r)}
			if w.Delete = r.IntN(3) == 0; w.Delete {
				delete(model, string(w.Key))
			} else {
				w.Value = []byte(fmt.Sprint(round))[:r.IntN(2)]
				model[string(w.Key)] = string(w.Value)
			}
			b.Writes = append(b.Writes, w)
		}
		if r.IntN(60) == 0 { // everything goes
			for k := range model {
				b.Writes = append(b.Writes, kv.Write{Key: []byte(k), Delete: true})
			}
			clear(model)
		}
		if err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for k := range b.Writes { // the batch is not kept
			clear(b.Writes[k].Key)
			clear(b.Writes[k].Value)
		}
		snap, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		views = append(views, view{snap, maps.Clone(model)})
		if len(views) > 5 {
			k := r.IntN(len(views))
			mustClose(t, views[k].snap)
			views = slices.Delete(views, k, k+1)
		}
		for _, v := range views {
			v.check(t, r)
		}
	}
	for _, v := range views {
		mustClose(t, v.snap)
	}
}

func randomKey(r *rand.Rand) []byte {
	switch r.IntN(3) {
	case 0:
		return []byte{byte(r.IntN(256))}
	case 1:
		return []byte{byte(r.IntN(3)) * 127, byte(r.IntN(256)), 0}
	}
	k := bytes.Repeat([]byte{byte(r.IntN(2)) * 0xFF}, r.IntN(4)+1)
	return append(k, byte(r.IntN(4)))
}

// check compares a snapshot with what it has to hold: a key, and a range in
// one direction.
func (v view) check(t *testing.T, r *rand.Rand) {
	t.Helper()
	key := randomKey(r)
	got, ok, err := v.snap.Get(t.Context(), key)
	if want, there := v.want[string(key)]; err != nil || ok != there || string(got) != want || ok && got == nil {
		t.Fatalf("%x: %q %v %v, want %q %v", key, got, ok, err, want, there)
	}
	lo, hi, reverse := randomKey(r), randomKey(r), r.IntN(2) == 0
	if r.IntN(10) == 0 {
		lo = []byte{}
	}
	if r.IntN(10) == 0 {
		hi = nil
	}
	var want []string
	for k, value := range v.want {
		if k >= string(lo) && (hi == nil || k < string(hi)) {
			want = append(want, k+"="+value)
		}
	}
	slices.SortFunc(want, func(a, b string) int {
		return bytes.Compare([]byte(a[:bytes.LastIndexByte([]byte(a), '=')]), []byte(b[:bytes.LastIndexByte([]byte(b), '=')]))
	})
	if reverse {
		slices.Reverse(want)
	}
	if hi != nil && bytes.Compare(lo, hi) > 0 {
		return // nobody asks for that
	}
	it, err := v.snap.Scan(context.Background(), lo, hi, reverse)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLater(t, it)
	stop := -1 // or after so many
	if r.IntN(4) == 0 {
		stop = r.IntN(5)
	}
	var keys []string
	for len(keys) != stop && it.Next() {
		keys = append(keys, string(it.Key())+"="+string(it.Value()))
	}
	if len(keys) == stop {
		want = want[:min(stop, len(want))]
	} else if it.Next() {
		t.Fatal("Next is true behind the end")
	}
	if err := it.Err(); err != nil || !slices.Equal(keys, want) {
		t.Fatalf("from %x to %x, reverse %v: %q, want %q: %v", lo, hi, reverse, keys, want, err)
	}
}

func preconditions(t *testing.T, s kv.Store) {
	defer closeLater(t, s)
	b := func(s string) []byte { return []byte(s) }
	apply := func(want int, pres []kv.Precondition, writes ...kv.Write) {
		t.Helper()
		err := s.Apply(t.Context(), &kv.Batch{Preconditions: pres, Writes: writes})
		var failed *kv.PreconditionError
		switch {
		case want < 0 && err != nil:
			t.Fatal(err)
		case want >= 0 && (!errors.As(err, &failed) || failed.Index != want):
			t.Fatalf("%v, want precondition %d to fail", err, want)
		}
	}
	pre := func(k, v string) kv.Precondition { return kv.Precondition{Key: b(k), Value: b(v)} }
	set := func(k, v string) kv.Write { return kv.Write{Key: b(k), Value: b(v)} }
	apply(-1, []kv.Precondition{{Key: b("a")}}, set("a", "1"), set("empty", ""))
	apply(0, []kv.Precondition{{Key: b("a")}}, set("a", "2"), set("b", "2"))
	apply(1, []kv.Precondition{pre("a", "1"), pre("b", "")}, set("a", "3"))
	apply(0, []kv.Precondition{{Key: b("empty")}}, set("a", "3"))
	apply(0, []kv.Precondition{pre("a", "")}, set("a", "3"))
	apply(-1, []kv.Precondition{pre("a", "1"), {Key: b("b")}, pre("empty", "")}, set("a", "4"))
	apply(-1, nil, set("x", "1"), kv.Write{Key: b("x"), Delete: true}, set("y", "1"), set("y", "2"))
	apply(-1, []kv.Precondition{{Key: b("x")}, pre("y", "2"), pre("a", "4"), {Key: b("b")}})

	// Of many that race for one key each round has one winner.
	for round := range 20 {
		won := make(chan bool)
		for k := range 4 {
			go func() {
				err := s.Apply(context.Background(), &kv.Batch{
					Preconditions: []kv.Precondition{{Key: b(fmt.Sprint("race", round))}},
					Writes:        []kv.Write{set(fmt.Sprint("race", round), fmt.Sprint(k))},
				})
				won <- err == nil
			}()
		}
		winners := 0
		for range 4 {
			if <-won {
				winners++
			}
		}
		if winners != 1 {
			t.Fatalf("%d winners", winners)
		}
	}
}

// ErrInjected is what a [Faulty] store fails with.
var ErrInjected = errors.New("injected failure")

// Faulty is a store whose Apply fails from a call on.
type Faulty struct {
	kv.Store
	// Left is the number of calls until the failure.
	Left int
	// Late makes the failing call write before it fails, as a sync does that
	// reports an error though the data is on disk.
	Late bool
}

// Apply fails when its time has come.
func (f *Faulty) Apply(ctx context.Context, b *kv.Batch) error {
	f.Left--
	if f.Left > 0 {
		return f.Store.Apply(ctx, b)
	}
	if f.Left == 0 && f.Late {
		if err := f.Store.Apply(ctx, b); err != nil {
			return err
		}
	}
	return ErrInjected
}

// Close leaves the store open, to be looked at.
func (f *Faulty) Close() error { return nil }
