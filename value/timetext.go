package value

import (
	"strings"
	"time"
)

// Package time reads times as well, but its reader of layouts is as large as
// the parser of the query language, and browsers load both.

// parseTime reads what [time.Parse] reads as RFC 3339 or as a date: also hours
// of one digit, commas before fractions, and fractions of any length.
func parseTime(s string) (time.Time, bool) {
	r := timeReader{rest: s, ok: true}
	year, month := r.digits(4, 4), 0
	r.skip("-")
	month = r.digits(2, 2)
	r.skip("-")
	day := r.digits(2, 2)
	var hour, minute, second, nanos, offset int
	if r.rest != "" || !r.ok {
		r.skip("T")
		hour = r.digits(1, 2)
		r.skip(":")
		minute = r.digits(2, 2)
		r.skip(":")
		second = r.digits(2, 2)
		nanos = r.fraction()
		offset = r.zone()
	}
	r.ok = r.ok && r.rest == "" && 1 <= month && month <= 12 && hour < 24 && minute < 60 && second < 60
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if !r.ok || t.Day() != day { // the month has no such day
		return time.Time{}, false
	}
	return t.Add(-time.Duration(offset) * time.Second), true
}

type timeReader struct {
	rest string
	ok   bool
}

func (r *timeReader) skip(text string) {
	rest, ok := strings.CutPrefix(r.rest, text)
	r.rest, r.ok = rest, r.ok && ok
}

// digits reads a number of at least and at most so many digits.
func (r *timeReader) digits(least, most int) (n int) {
	k := 0
	for k < most && k < len(r.rest) && '0' <= r.rest[k] && r.rest[k] <= '9' {
		n = 10*n + int(r.rest[k]-'0')
		k++
	}
	r.rest, r.ok = r.rest[k:], r.ok && k >= least
	return n
}

// fraction reads nanoseconds, if there are any; further digits do not count.
func (r *timeReader) fraction() (nanos int) {
	if len(r.rest) < 2 || r.rest[0] != '.' && r.rest[0] != ',' || r.rest[1] < '0' || '9' < r.rest[1] {
		return 0
	}
	r.rest = r.rest[1:]
	for unit := 100_000_000; r.rest != "" && '0' <= r.rest[0] && r.rest[0] <= '9'; unit /= 10 {
		nanos += unit * r.digits(1, 1)
	}
	return nanos
}

// zone reads an offset in seconds east of UTC.
func (r *timeReader) zone() (offset int) {
	if strings.HasPrefix(r.rest, "Z") {
		r.skip("Z")
		return 0
	}
	sign := 1
	if strings.HasPrefix(r.rest, "-") {
		sign = -1
		r.skip("-")
	} else {
		r.skip("+")
	}
	hours := r.digits(2, 2)
	r.skip(":")
	minutes := r.digits(2, 2)
	r.ok = r.ok && hours <= 24 && minutes <= 60
	return sign * 60 * (60*hours + minutes)
}
