package kv_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// TestFaults lets the n-th write of a store fail, for every n: whatever had
// been committed is there, and what failed is there whole or not at all (S9).
func TestFaults(t *testing.T) {
	for _, late := range []bool{false, true} {
		for n := 1; n < 25; n++ {
			inner := memory.NewStore()
			e, err := kv.New(&storagetest.Faulty{Store: inner, Left: n, Late: late}, &kv.Options{Location: "test"})
			l, acked := storagetest.NewLedger(t, 1), 0
			for err == nil {
				if acked == 5 {
					if err = e.EnsureIndex(t.Context(), "ledger", storagetest.LedgerIndex); err != nil {
						break
					}
				}
				if err = l.Step(t.Context(), e); err == nil {
					acked++
				}
			}
			if !errors.Is(err, storagetest.ErrInjected) {
				t.Fatal(err)
			}
			if e != nil {
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			}
			e = open(t, inner, kv.Options{})
			if err := e.WaitIndexes(t.Context()); err != nil {
				t.Fatal(err)
			}
			snap := snapshot(t, e)
			if got := l.Check(t, snap, acked); got > acked && !late {
				t.Errorf("failure at write %d: %d transactions, %d were committed", n, got, acked)
			}
			snap.Close()
		}
	}
}

func snapshot(t *testing.T, e storage.Engine) storage.Snapshot {
	t.Helper()
	s, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFormat tests what stores are refused.
func TestFormat(t *testing.T) {
	put := func(key, v string) *memory.Store {
		s := memory.NewStore()
		if err := s.Apply(t.Context(), &kv.Batch{Writes: []kv.Write{{Key: []byte(key), Value: []byte(v)}}}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	cases := []struct {
		name  string
		store kv.Store
		opts  kv.Options
		want  string // of the error; "" for none
	}{
		{"another's data", put("some", "thing"), kv.Options{}, "not an ankurah store"},
		{"another format record", put("\x00", "thing"), kv.Options{}, "not an ankurah store"},
		{"a format record that is cut off", put("\x00", "ankurah"), kv.Options{}, "damaged"},
		{"older", put("\x00", "ankurah\x01"), kv.Options{}, "dump it with the version that wrote it"},
		{"newer", put(sealed("\x00", "ankurah\x03")), kv.Options{}, "newer version"},
		{"this", put(sealed("\x00", "ankurah\x02")), kv.Options{}, ""},
		{"a record of ours, and none of the format", put(sealed("\x06node", "me")), kv.Options{}, "damaged"},
		{"empty, to be read", memory.NewStore(), kv.Options{ReadOnly: true}, "empty"},
		{"another's data beside the prefix", put("some", "thing"), kv.Options{Prefix: []byte("p")}, ""},
		{"another's data under the prefix", put("pome", "thing"), kv.Options{Prefix: []byte("p")}, "not an ankurah store"},
	}
	for _, c := range cases {
		c.opts.Location = "folder"
		e, err := kv.New(c.store, &c.opts)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || storage.IsCorrupt(err) != (c.want == "damaged")):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case c.want != "" && !strings.Contains(err.Error(), "folder"):
			t.Errorf("%s: %v does not say where", c.name, err)
		}
		if e != nil {
			e.Close()
		}
	}
}

// TestPrefixes runs two engines over one store.
func TestPrefixes(t *testing.T) {
	s := memory.NewStore()
	for round := range 3 {
		var ls []*storagetest.Ledger
		var es []*kv.Engine
		for k := range 2 {
			es = append(es, open(t, s, kv.Options{Prefix: []byte{0xFF, byte(10*round + k)}, KeepStore: true}))
			ls = append(ls, storagetest.NewLedger(t, uint64(k)))
		}
		for k := range 20 {
			if err := ls[k%2].Step(t.Context(), es[k%2]); err != nil {
				t.Fatal(err)
			}
		}
		for k, l := range ls {
			snap := snapshot(t, es[k])
			l.Check(t, snap, 10)
			snap.Close()
		}
	}
}

// TestReadOnly tests that nothing is written.
func TestReadOnly(t *testing.T) {
	s := memory.NewStore()
	l := storagetest.NewLedger(t, 1)
	if err := l.Step(t.Context(), open(t, s, kv.Options{})); err != nil {
		t.Fatal(err)
	}
	faulty := &storagetest.Faulty{Store: s} // fails at any write
	e := open(t, faulty, kv.Options{ReadOnly: true})
	snap := snapshot(t, e)
	l.Check(t, snap, 1)
	snap.Close()
	for name, err := range map[string]error{
		"Commit":      l.Step(t.Context(), e),
		"EnsureIndex": e.EnsureIndex(t.Context(), "ledger", storagetest.LedgerIndex),
	} {
		if err == nil || !strings.Contains(err.Error(), "reading only") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sealed returns a record as a store of this format holds it: CRC-32C over the
// key and the value ends it.
func sealed(key, v string) (string, string) {
	sum := crc32.Checksum([]byte(key+v), crc32.MakeTable(crc32.Castagnoli))
	return key, v + string(binary.BigEndian.AppendUint32(nil, sum))
}
