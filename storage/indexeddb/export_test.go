//go:build js

package indexeddb

// Await is await, for tests.
var Await = await

// Drop closes the connection to the database, as a browser does that needs
// the memory.
func (s *Store) Drop() { s.db.close() }

// Look reads what is in a database that may be open.
func Look(name string) (map[string]string, error) {
	d, err := open(name, false)
	if err != nil {
		return nil, err
	}
	defer d.close()
	b, err := d.page(nil)
	if err != nil {
		return nil, err
	}
	got := map[string]string{}
	for _, w := range b.Writes {
		got[string(w.Key)] = string(w.Value)
	}
	return got, nil
}
