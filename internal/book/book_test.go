package book

import (
	"bytes"
	"testing"

	"github.com/ankurah/ankurah-go/id"
)

// FuzzDecode: no record panics (S39), and what is read is written as it was.
func FuzzDecode(f *testing.F) {
	i := id.New(7, [8]byte{1, 2})
	key := append([]byte(Position), i[:]...)
	f.Add(key, AppendProgress(nil, 3, 1<<40))
	f.Add(key[:len(key)-1], AppendProgress(nil, 3, 1<<40)[:15])
	f.Add([]byte{}, AppendTouched(AppendTouched(nil, Touched{"album", i, 1, 3}), Touched{"artist", i, 2, 2}))
	f.Fuzz(func(t *testing.T, key, val []byte) {
		if p, err := DecodeProgress(key, val); err == nil {
			if !bytes.Equal(append([]byte(Position), p.Incarnation[:]...), key) || !bytes.Equal(AppendProgress(nil, p.Seq, p.Clock), val) {
				t.Errorf("position %x %x comes back otherwise", key, val)
			}
		}
		touched, err := DecodeRecord(val)
		if err != nil {
			return
		}
		write := func(list []Touched) (b []byte) {
			for _, x := range list {
				b = AppendTouched(b, x)
			}
			return b
		}
		once := write(touched)
		again, err := DecodeRecord(once)
		if err != nil || !bytes.Equal(write(again), once) {
			t.Errorf("record %x comes back otherwise: %v", val, err)
		}
	})
}
