package core

import "github.com/ankurah/ankurah-go/internal/book"

// appendRecord encodes what is kept of a transaction.
func appendRecord(b []byte, t *tx) []byte {
	for k := range t.writes {
		w := &t.writes[k]
		b = book.AppendTouched(b, book.Touched{Collection: w.After.Collection(), Entity: w.After.ID(), First: w.Before.Rev() + 1, Last: w.After.Rev()})
	}
	return b
}
