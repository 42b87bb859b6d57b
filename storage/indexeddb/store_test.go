//go:build js

package indexeddb_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall/js"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/indexeddb"
	"github.com/ankurah/ankurah-go/storage/kv"
)

func openStore(t *testing.T, name string) *indexeddb.Store {
	t.Helper()
	s, err := indexeddb.OpenStore(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func apply(t *testing.T, s *indexeddb.Store, writes ...kv.Write) {
	t.Helper()
	if err := s.Apply(t.Context(), &kv.Batch{Writes: writes}); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, s *indexeddb.Store) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func set(key, value string) kv.Write { return kv.Write{Key: []byte(key), Value: []byte(value)} }

// content returns what a store holds.
func content(t *testing.T, s kv.Store) map[string]string {
	t.Helper()
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	it, err := snap.Scan(t.Context(), nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	got := map[string]string{}
	for it.Next() {
		got[string(it.Key())] = string(it.Value())
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return got
}

func mustEqual(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("%s: %d keys, want %d, or other values", what, len(got), len(want))
	}
}

// What was applied is there when the database is opened again, also what takes
// several pages to read and several turns of the event loop to write.
func TestReopen(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	name, model := fresh(t), map[string]string{}
	for round := range 8 {
		s := openStore(t, name)
		mustEqual(t, fmt.Sprint("round ", round), content(t, s), model)
		for range r.IntN(20) {
			var ws []kv.Write
			for range r.IntN(1500) {
				w := set(fmt.Sprint(r.IntN(12_000)), fmt.Sprint(r.IntN(1000))[:r.IntN(2)])
				if w.Delete = r.IntN(4) == 0; w.Delete {
					w.Value = nil
					delete(model, string(w.Key))
				} else {
					model[string(w.Key)] = string(w.Value)
				}
				ws = append(ws, w)
			}
			apply(t, s, ws...)
			if r.IntN(3) == 0 {
				flush(t, s)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(model) < 5000 {
		t.Errorf("only %d keys", len(model))
	}
}

// S9: whatever the moment, the database holds whole batches, in their order,
// and all of those whose Flush has returned. So a page that dies leaves that.
func TestTheDatabaseHoldsWholeBatches(t *testing.T) {
	name := fresh(t)
	s := openStore(t, name)
	defer s.Close()
	look := indexeddb.Look(t, name)
	for range 20 {
		apply(t, s, set("a", fmt.Sprint(rand.Int())))
		flush(t, s)
		if got := look(); !maps.Equal(got, content(t, s)) {
			t.Fatalf("after Flush the database has %v", got)
		}
	}
	const others = 300 // keys; a transaction is handed over in parts
	model := func(n int) map[string]string {
		m := map[string]string{"a": fmt.Sprint(n), "b": fmt.Sprint(n)}
		for k := max(1, n-others+1); k <= n; k++ {
			m[fmt.Sprint(k%others)] = fmt.Sprint(k)
		}
		return m
	}
	apply(t, s, set("a", "0"), set("b", "0"))
	flush(t, s)
	looks := 0
	for n := 0; n < 60*others; {
		for range 1 + rand.IntN(2*others) {
			n++
			v := fmt.Sprint(n)
			apply(t, s, set("a", v), set(fmt.Sprint(n%others), v), set("b", v))
		}
		for a := -1; a != n; looks++ {
			got := look()
			if _, err := fmt.Sscan(got["a"], &a); err != nil || !maps.Equal(got, model(a)) {
				t.Fatalf("the database is not what it was after batch %d: %v", a, err)
			}
		}
	}
	t.Logf("%d looks", looks)
}

// A connection that was lost is made again, with nothing lost.
func TestLostConnection(t *testing.T) {
	name := fresh(t)
	s := openStore(t, name)
	want := map[string]string{}
	for k := range 5 {
		key := fmt.Sprint(k)
		apply(t, s, set(key, key))
		want[key] = key
		if k != 2 {
			flush(t, s) // else while it is written
		}
		s.Drop()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, name)
	mustEqual(t, "after lost connections", content(t, s), want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// call calls what the test's runner provides.
func call(t *testing.T, f string, args ...any) {
	t.Helper()
	if _, err := indexeddb.Await(js.Global().Call(f, args...)); err != nil {
		t.Fatal(err)
	}
}

// What the user has removed is not written again.
func TestRemovedMeanwhile(t *testing.T) {
	s := openStore(t, fresh(t))
	apply(t, s, set("private", "1"))
	flush(t, s)
	call(t, "testClear")
	apply(t, s, set("more", "1"))
	if err := s.Flush(t.Context()); !errors.Is(err, indexeddb.ErrRemoved) {
		t.Errorf("Flush says %v", err)
	}
	if err := s.Close(); !errors.Is(err, indexeddb.ErrRemoved) {
		t.Errorf("Close says %v", err)
	}
}

// One engine has a database open at a time; another may wait for it.
func TestWaitForTheLock(t *testing.T) {
	name := fresh(t)
	s := openStore(t, name)
	if _, err := indexeddb.OpenStore(t.Context(), name, nil); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a second engine: %v", err)
	}
	if err := indexeddb.Remove(t.Context(), name); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("removing it: %v", err)
	}
	wait := &indexeddb.Options{Wait: true}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := indexeddb.OpenStore(ctx, name, wait); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting in vain: %v", err)
	}
	var order []string
	done := make(chan *indexeddb.Store)
	go func() {
		next, err := indexeddb.OpenStore(t.Context(), name, wait)
		if err != nil {
			t.Error(err)
		}
		order = append(order, "opened")
		done <- next
	}()
	time.Sleep(20 * time.Millisecond)
	order = append(order, "closed")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	next := <-done
	if !slices.Equal(order, []string{"closed", "opened"}) {
		t.Error(order)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	if _, err := indexeddb.Open(t.Context(), "", nil); err == nil {
		t.Error("a database without a name")
	}
	e, err := storage.Open(t.Context(), "indexeddb:"+fresh(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Info(); got.Name != "indexeddb" || got.Shared || got.Durability != "relaxed" {
		t.Error(got)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
