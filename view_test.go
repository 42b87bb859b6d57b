package ankurah_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
)

// A view prints as what it shows; an absent one says so.
func TestPrint(t *testing.T) {
	s := memorySession(t)
	id := create(t, s, ankurah.Fields{"name": "Muse", "year": 2001})
	v, err := albums.Get(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(v), "album "+id.String()+" name='Muse' year=2001"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := fmt.Sprint(ankurah.Record{}); got != "nothing" {
		t.Errorf("zero record: %s", got)
	}
	if _, err := albums.First(t.Context(), s, "year = 1"); err == nil || strings.Contains(err.Error(), "000") {
		t.Errorf("nothing found: %v", err)
	}
}

// Pages without a live query: a cursor is a row's place in a query's order.
func TestCursorOfFetchedRow(t *testing.T) {
	s := memorySession(t)
	for k := range 5 {
		create(t, s, ankurah.Fields{"name": string(rune('a' + k)), "year": k / 2})
	}
	const query = "ORDER BY year DESC, name LIMIT 2"
	var all []string
	page, err := albums.Fetch(t.Context(), s, query)
	for err == nil && len(page) > 0 {
		all = append(all, names(page)...)
		var after ankurah.Cursor
		if after, err = albums.Cursor(t.Context(), s, page[len(page)-1], query); err == nil {
			page, err = albums.Fetch(t.Context(), s, query+" AFTER ?", after)
		}
	}
	if got := strings.Join(all, ""); err != nil || got != "ecdab" {
		t.Errorf("%s, %v", got, err)
	}
}
