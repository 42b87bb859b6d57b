package dump

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// bodies returns a dump without its magic and its checksums: what the fuzzer
// changes.
func bodies(t testing.TB, rs []*record) []byte {
	t.Helper()
	var out []byte
	for _, r := range rs {
		b := r.append(nil)
		out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
	}
	return out
}

// framed makes a dump of what [bodies] returns, whatever was done to it, whose
// checksums fit.
func framed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := newWriter(&out)
	must(t, err)
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			break
		}
		b = b[k:]
		body := b[:min(n, uint64(len(b)))]
		b = b[len(body):]
		if r, err := decode(body); err == nil && r.kind == kEnd {
			must(t, w.end(r.counts))
			continue
		}
		must(t, w.bytes(binary.AppendUvarint(nil, uint64(len(body)))))
		must(t, w.bytes(body))
		must(t, w.bytes(binary.BigEndian.AppendUint32(nil, w.crc)))
	}
	must(t, w.w.Flush())
	return out.Bytes()
}

// FuzzRestore: whatever comes, it is refused as damage and leaves nothing that
// passes for whole, or it is a store that agrees with itself.
func FuzzRestore(f *testing.F) {
	sound, err := os.ReadFile(golden)
	must(f, err)
	f.Add(bodies(f, records(f, sound)), true)
	f.Add(sound, false)
	f.Add(sound[:len(sound)/2], false)
	f.Fuzz(func(t *testing.T, b []byte, frame bool) {
		if frame {
			b = framed(t, b)
		}
		e := memory.New()
		defer closed(t, e)
		counts, err := Restore(t.Context(), e, bytes.NewReader(b), nil)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, property.ErrUnknownKind) {
				t.Fatalf("an error of another kind: %v", err)
			}
			notWhole(t, "what was refused", e)
			return
		}
		var out bytes.Buffer
		again, err := Write(t.Context(), e, &out, nil)
		if err != nil || again.Events != counts.Events || again.Entities != counts.Entities || again.Transactions != counts.Transactions {
			t.Fatalf("restored %v, dumped %v: %v", counts, again, err)
		}
		if _, err := Verify(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	})
}
