package kv

import (
	"bytes"
	"testing"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

// FuzzRecords: nothing that stands in a store panics, and what is read is
// written as it was.
func FuzzRecords(f *testing.F) {
	keys := keyspace{[]byte("p")}
	i := id.New(7, [8]byte{1, 2})
	def := schema.Index{Columns: []schema.Column{{Path: []string{"name"}}, {Path: []string{"extra", "x"}, Desc: true}}}
	f.Add(appendPosition(nil, i, 300, "album"))
	f.Add(appendFormat(nil))
	f.Add(newIndex(keys, 3, "album", def, true).record())
	f.Add(keys.state(nil, "album", i))
	f.Add(i[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, rev, collection, ok := parsePosition(b); ok {
			e2, rev2, collection2, ok := parsePosition(appendPosition(nil, e, rev, collection))
			if !ok || e2 != e || rev2 != rev || collection2 != collection {
				t.Errorf("position %x comes back otherwise", b)
			}
		}
		_, _ = parseFormat(b)
		if x, err := parseIndex(keys, "album", def.Name(), b); err == nil {
			again, err := parseIndex(keys, "album", def.Name(), x.record())
			if err != nil || !bytes.Equal(again.record(), x.record()) {
				t.Errorf("an index record comes back otherwise: %v", err)
			}
		}
		_, _ = storage.DecodeState("album", i, b)
		_, _ = parseClaim(b, b)
		_, _ = entityOf(b, len(b)/2)
	})
}
