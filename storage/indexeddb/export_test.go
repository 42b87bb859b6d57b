//go:build js

package indexeddb

import "testing"

// Await is await, for tests.
var Await = await

// Drop closes the connection to the database, as a browser does that needs
// the memory.
func (s *Store) Drop() { s.db.close() }

// Look returns what reads a database that may be open elsewhere.
func Look(t *testing.T, name string) func() map[string]string {
	d, err := open(name, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return func() map[string]string {
		b, err := d.page(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, w := range b.Writes {
			got[string(w.Key)] = string(w.Value)
		}
		return got
	}
}
