package id

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func random(r *rand.Rand) ID {
	var h [8]byte
	for k := range h {
		h[k] = byte(r.Uint32())
	}
	return New(Stamp(r.Uint64()), h)
}

// S1: an ID's text form orders as its bytes do and reads back.
func TestTextKeepsOrderAndValue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]ID, 2000)
	for k := range ids {
		ids[k] = random(r)
		if k%3 == 0 && k > 0 {
			ids[k] = ids[k-1]
			ids[k][r.IntN(Size)] ^= 1 << r.IntN(8)
		}
	}
	for k, i := range ids {
		s := i.String()
		for _, form := range []string{s, strings.ToLower(s), strings.NewReplacer("1", "l", "0", "o").Replace(s)} {
			back, err := Parse(form)
			if err != nil || back != i {
				t.Fatalf("Parse(%q) = %v, %v; want %v", form, back, err, i)
			}
		}
		if k > 0 {
			p := ids[k-1]
			if strings.Compare(s, p.String()) != i.Compare(p) || bytes.Compare(i[:], p[:]) != i.Compare(p) {
				t.Fatalf("order of %v and %v differs between text and bytes", i, p)
			}
		}
	}
}

func TestKnownText(t *testing.T) {
	for _, c := range []struct {
		id   ID
		text string
	}{
		{ID{}, "00000000000000000000000000"},
		{New(MaxStamp, [8]byte(bytes.Repeat([]byte{255}, 8))), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
		{New(NewStamp(1469922850259, 0), [8]byte{}), "01ARZ3NDEK0000000000000000"},
	} {
		if got := c.id.String(); got != c.text {
			t.Errorf("String = %s, want %s", got, c.text)
		}
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "0 characters",
		"01ARZ3NDEK000000000000000U": `"U" at 26`,
		"8ZZZZZZZZZZZZZZZZZZZZZZZZZ": "greater than 7",
		strings.Repeat("x", 1000):    "1000 characters",
	} {
		_, err := Parse(in)
		if err == nil || !errors.Is(err, ErrText) || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("Parse(%.30q): %v, want an ErrText with %q", in, err, want)
		}
	}
	var i ID
	if err := i.UnmarshalText([]byte("nope")); err == nil || !i.IsZero() {
		t.Errorf("UnmarshalText(nope) = %v, %v", i, err)
	}
	if _, err := FromBytes(make([]byte, 15)); err == nil {
		t.Error("FromBytes took 15 bytes")
	}
}

// S3: readings grow whatever the wall clock does, and pass what was seen.
func TestClockGrowsOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var c Clock
	var seen []Stamp
	now := uint64(1_700_000_000_000)
	for range 5000 {
		switch r.IntN(5) {
		case 0:
			now += uint64(r.IntN(10))
		case 1:
			now -= uint64(r.IntN(1000))
		case 2:
			s := NewStamp(now+uint64(r.IntN(2000)), uint16(r.Uint32()))
			c.Observe(s)
			seen = append(seen, s)
		}
		s := c.Next(now)
		if len(seen) > 0 && s <= slices.Max(seen) {
			t.Fatalf("reading %v is not past %v", s, slices.Max(seen))
		}
		if s.Millis() < now {
			t.Fatalf("reading %v is before the wall clock %d", s, now)
		}
		seen = append(seen, s)
	}
	if c.Last() != slices.Max(seen) {
		t.Fatal("Last is not the high-water mark")
	}
}

// S1: a full counter carries into the milliseconds.
func TestCounterOverflowCarries(t *testing.T) {
	var c Clock
	c.Observe(NewStamp(1000, 0xFFFF))
	if s := c.Next(5); s != NewStamp(1001, 0) {
		t.Fatalf("after a full counter: %v, want 1001.0", s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("01ARZ3NDEK0000000000000000")
	f.Add("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
	f.Fuzz(func(t *testing.T, s string) {
		i, err := Parse(s)
		if err != nil {
			return
		}
		if back, err := Parse(i.String()); err != nil || back != i {
			t.Fatalf("%q -> %v -> %v, %v", s, i, back, err)
		}
	})
}
