package core

import (
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// S9: bookkeeping of an ephemeral node that cannot be is damage, and names the
// record.
func TestDamagedBookkeeping(t *testing.T) {
	for key, value := range map[string]string{
		string(metaServer): "x", string(metaOffset): "1234567", string(metaOutbox) + "12345678": "x",
		string(metaBase) + "x": "", string(metaRejected) + "x": "",
	} {
		eng := memory.New()
		_, err := eng.Commit(t.Context(), &storage.Batch{Meta: []storage.MetaWrite{{Key: []byte(key), Value: []byte(value)}}})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := eng.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Boot(t.Context(), &scripted{t: t, eng: eng, r: rand.New(rand.NewPCG(1, 1))}, Config{Kinds: property.NewRegistry(lww.Kind)}, snap); !storage.IsCorrupt(err) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
