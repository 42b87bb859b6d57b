package value

import (
	"errors"
	"testing"
	"time"
)

// Package time is the oracle.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{
		"2001-02-03", "2001-02-29", "2004-02-29", "1900-02-29", "2001-13-01", "2001-00-01", "2001-01-00", "2001-1-01", "0000-01-01", "9999-12-31",
		"2001-02-03T04:05:06Z", "2001-02-03T4:05:06Z", "2001-02-03T24:00:00Z", "2001-02-03T23:60:00Z", "2001-02-03T23:59:60Z", "2001-02-03T4:5:06Z",
		"2001-02-03T04:05:06.5Z", "2001-02-03T04:05:06,123456789Z", "2001-02-03T04:05:06.1234567899Z", "2001-02-03T04:05:06.Z", "2001-02-03T04:05:06.",
		"2001-02-03T04:05:06+01:30", "2001-02-03T04:05:06-24:60", "2001-02-03T04:05:06+25:00", "2001-02-03T04:05:06+01:61", "2001-02-03T04:05:06+0130",
		"2001-02-03T04:05:06", "2001-02-03T04:05:06z", "2001-02-03t04:05:06Z", "2001-02-03T04:05:06Z ", " 2001-02-03", "2001-02-03T", "2001-02-03T04:05Z",
		"12001-02-03", "+201-02-03", "2001-02-03T04:05:06Z07:00", "2001-02-03T04:05:06+1:00", "0000-01-01T00:00:00+24:00", "", "x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want time.Time
		known := false
		for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
			if at, err := time.Parse(layout, s); err == nil {
				want, known = at, true
				break
			}
		}
		got, ok := parseTime(s)
		if ok != known || !got.Equal(want) {
			t.Errorf("parseTime(%q) = %v, %v, want %v, %v", s, got, ok, want, known)
		}
	})
}

// A type defined over time.Time is a time, another struct is not, also one
// that holds a time.
func TestTimesOfDefinedTypes(t *testing.T) {
	type defined time.Time
	type again defined
	at := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.FixedZone("", 3600))
	for _, x := range []any{defined(at), again(at), new(defined(at))} {
		if v, err := FromGo(x); err != nil || !v.Time().Equal(at) {
			t.Errorf("FromGo(%T) = %v, %v, want %v", x, v, err, at)
		}
	}
	for _, x := range []any{struct{ time.Time }{at}, struct{}{}, struct{ a, b, c int }{}} {
		if v, err := FromGo(x); !errors.Is(err, ErrType) {
			t.Errorf("FromGo(%T) = %v, %v, want %v", x, v, err, ErrType)
		}
	}
}
