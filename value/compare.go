package value

import (
	"cmp"
	"math"
	"strings"
)

// class groups the kinds that compare with each other, in the order of
// classes. JSON scalars count as what they hold.
type class uint8

const (
	classBool class = iota + 1
	classNumber
	classText
	classBytes
	classTime
	classID
	classList
	classDocument // a JSON object or array
	classNull     // last, so that NULLs come last ascending (S47)
)

var kindClass = [kindEnd]class{classNull, classText, classBool, classNumber, classNumber, classNumber,
	classBytes, classTime, classID, classDocument, classList}

func (v Value) class() class { return kindClass[v.kind] }

// Compare orders all values (S47): -1, 0 or 1. Within a class, truth values
// order false before true, numbers numerically and exactly whatever their
// kinds with NaN last and equal to itself, text by code point, lists element by
// element, JSON objects and arrays by their canonical text. Classes order
// bool, number, text, bytes, time, ID, list, JSON document, null. A JSON scalar
// compares as the scalar it holds.
func Compare(a, b Value) int {
	a, b = a.Unwrap(), b.Unwrap()
	ca, cb := a.class(), b.class()
	if ca != cb {
		return cmp.Compare(ca, cb)
	}
	switch ca {
	case classNull:
		return 0
	case classBool:
		return cmp.Compare(a.n, b.n)
	case classNumber:
		return compareNumbers(a, b)
	case classTime:
		return cmp.Compare(int64(a.n), int64(b.n))
	case classList:
		for k := range min(len(a.list), len(b.list)) {
			if c := Compare(a.list[k], b.list[k]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(a.list), len(b.list))
	}
	return strings.Compare(a.s, b.s) // UTF-8 orders bytewise as by code point
}

func compareNumbers(a, b Value) int {
	if a.kind != KindFloat64 && b.kind != KindFloat64 {
		return cmp.Compare(int64(a.n), int64(b.n))
	}
	fa, da := nearest(a)
	fb, db := nearest(b)
	switch {
	case fa < fb:
		return -1
	case fa > fb:
		return 1
	case fa != fa || fb != fb:
		return cmp.Compare(b2i(fa != fa), b2i(fb != fb))
	}
	return cmp.Compare(da, db)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// nearest returns the float64 nearest to a number and the number minus that
// float64. Rounding is monotonic, so pairs order as the numbers do. The
// difference is at most 512 either way.
func nearest(v Value) (f float64, diff int64) {
	if v.kind == KindFloat64 {
		return math.Float64frombits(v.n), 0
	}
	n := int64(v.n)
	f = float64(n)
	if f == 1<<63 { // beyond int64
		return f, n - math.MaxInt64 - 1
	}
	return f, n - int64(f)
}

// Equal reports whether Compare finds no difference.
func Equal(a, b Value) bool { return Compare(a, b) == 0 }

// SameClass reports whether a and b are of one class, so that comparing them
// says something: 9 and '9' are not (S46).
func SameClass(a, b Value) bool { return a.Unwrap().class() == b.Unwrap().class() }
