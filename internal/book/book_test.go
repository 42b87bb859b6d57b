package book

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
)

// FuzzDecode: no record panics (S39), and what is read is written as it was.
func FuzzDecode(f *testing.F) {
	i := id.New(7, [8]byte{1, 2})
	key := append([]byte(Position), i[:]...)
	f.Add(key, AppendProgress(nil, 3, 1<<40))
	f.Add(key[:len(key)-1], AppendProgress(nil, 3, 1<<40)[:15])
	f.Add([]byte{}, AppendTouched(AppendTouched(nil, Touched{"album", i, 1, 3}), Touched{"artist", i, 2, 2}))
	f.Add([]byte{}, AppendFence(nil, Fence{"denied", "no"}))
	p := Place{i, 3}
	f.Add(AppendFeedKey(nil, p), AppendEntry(nil, event.TxID{9}, 1<<40))
	f.Add(AppendFeedKey(nil, p), make([]byte, 16))
	trim := &Trim{}
	trim.Set(p)
	trim.Drop(Place{i, 2})
	trim.Set(Place{id.New(8, [8]byte{3}), 5})
	f.Add([]byte(Trimmed), trim.Append(nil))
	f.Fuzz(func(t *testing.T, key, val []byte) {
		if e, err := DecodeEntry(key, val); err == nil {
			if !bytes.Equal(AppendFeedKey(nil, e.Place)[len(Feed):], key[len(Feed):]) || len(val) > 16 && !bytes.Equal(AppendEntry(nil, e.Tx, e.Stamp), val) {
				t.Errorf("feed entry %x %x comes back otherwise", key, val)
			}
		}
		if trim, err := DecodeTrim(val); err == nil {
			if again, err := DecodeTrim(trim.Append(nil)); err != nil || !reflect.DeepEqual(trim, again) {
				t.Errorf("trimmed feeds %x come back otherwise: %v", val, err)
			}
			if _, all := trim.Since(0); all && trim.Dropped > MaxGone {
				t.Errorf("trimmed feeds %x: %d have gone, and all are there", val, trim.Dropped)
			}
		}
		if p, err := DecodeProgress(key, val); err == nil {
			if !bytes.Equal(append([]byte(Position), p.Incarnation[:]...), key) || !bytes.Equal(AppendProgress(nil, p.Seq, p.Clock), val) {
				t.Errorf("position %x %x comes back otherwise", key, val)
			}
		}
		if fence, err := DecodeFence(val); fence != nil && err == nil {
			if again, err := DecodeFence(AppendFence(nil, *fence)); err != nil || *again != *fence {
				t.Errorf("fence %x comes back otherwise: %v", val, err)
			}
			if _, err := DecodeRecord(val); err == nil {
				t.Errorf("fence %x is a record, too", val)
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

// S39: the record that a transaction was refused is pinned, and is no record of
// one that was stored.
func TestFence(t *testing.T) {
	f := Fence{"denied", "no"}
	b := AppendFence(nil, f)
	if want := "\x12\x06denied\x1a\x02no"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
	if got, err := DecodeFence(b); err != nil || *got != f {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := DecodeFence(AppendTouched(nil, Touched{"album", id.New(7, [8]byte{1}), 1, 3})); got != nil || err != nil {
		t.Errorf("a record is a fence: %+v, %v", got, err)
	}
	for n := 1; n < len(b); n++ {
		if f, err := DecodeFence(b[:n]); err == nil {
			t.Errorf("%d bytes are %+v", n, f)
		}
	}
}
