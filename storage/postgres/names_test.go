package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

// hostile are texts that would do something if they were taken for SQL, and
// such as PostgreSQL cannot hold or means in a way of its own.
var hostile = []string{
	"'; DROP TABLE witness; --", `"; DROP TABLE witness; --`, `\'; DROP TABLE witness; --`, "$1", "$1::int", "%s", "%", "_", `\`, `\\`, "''", `""`,
	"a'b", `a"b`, "a;b", "a--b", "a/*b", "NULL", "select", "table", "user", "order", "id", "ID", "_rev", "xmin", "ctid", "oid",
	"naïve", "日本語", "𝄞", " ", "a b", "a\nb", "a\tb", "a.b", "{a,b}", "[1]", `{"a":1}`, "E'x'", "U&'x'", "$$x$$", "~", "(", "[", "*", "^", "a|b", "-1", "+1", " 1", "0",
	strings.Repeat("x", 200)[:128], strings.Repeat("x", 120) + "y", strings.Repeat("é", 60), strings.Repeat("'", 100),
}

// witnessed is a database with a table that hostile texts would drop, and with
// a setting under which a backslash would escape.
func witnessed(t *testing.T) string {
	url := pgtest.New(t)
	conn := connect(t, url)
	exec(t, conn, "CREATE TABLE witness (n int)")
	t.Cleanup(func() { exec(t, conn, "SELECT 1 FROM witness") })
	return url
}

// keys are the texts that can name a property.
func keys() []string {
	return slices.DeleteFunc(slices.Clone(hostile), func(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) })
}

// Properties may have any name, and what is stored under it is found by its
// value, through a column, an index, an order and a path into a document.
func TestNames(t *testing.T) {
	e := open(t, witnessed(t), nil)
	w := storagetest.NewWriter(t, 1)
	var props []schema.Property
	for _, key := range keys() {
		props = append(props, schema.Property{Key: key, Type: value.Type{Kind: value.KindString}})
	}
	if err := e.EnsureModel(t.Context(), schema.NewModel("Album", "album", props)); err != nil {
		t.Fatal(err)
	}
	var writes []storage.EntityWrite
	for _, key := range keys() {
		doc, err := value.JSONFrom(map[string]any{key: key})
		if err != nil {
			t.Fatal(err)
		}
		writes = append(writes, w.Create("album", storagetest.Set(key, value.String(key)), storagetest.Set("doc", doc)))
	}
	if r, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(writes...)}}); err != nil || r.Conflicts != nil {
		t.Fatal(err, r.Conflicts)
	}
	for _, indexed := range []bool{false, true} {
		for k, key := range keys() {
			if indexed {
				for _, path := range [][]string{{key}, {"doc", key}} {
					if key == "id" && len(path) == 1 {
						continue
					}
					if err := e.EnsureIndex(t.Context(), "album", schema.Index{Columns: []schema.Column{{Path: path}}}); err != nil {
						t.Fatalf("index on %q: %v", path, err)
					}
				}
			}
			snap, err := e.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			want := writes[k].After.ID()
			column := &ankql.Path{Parts: []string{key}, Key: key}
			path := &ankql.Path{Parts: []string{"doc", key}, Key: "doc", JSON: []string{key}}
			lit := &ankql.Literal{Value: value.String(key)}
			for name, where := range map[string]ankql.Expr{
				"equality": &ankql.Binary{Op: ankql.OpEq, L: column, R: lit},
				"range":    &ankql.Binary{Op: ankql.OpGe, L: column, R: lit},
				"in":       &ankql.In{X: column, List: []ankql.Expr{lit, &ankql.Literal{Value: value.String(hostile[0])}}},
				"contains": &ankql.Binary{Op: ankql.OpContains, L: column, R: lit},
				"document": &ankql.Binary{Op: ankql.OpEq, L: path, R: lit},
			} {
				sel := &ankql.Selection{Collection: "album", Limit: 2, Where: where, Order: []ankql.OrderTerm{{Path: column}}}
				found := 0
				for st, err := range snap.Scan(t.Context(), sel) {
					if err != nil {
						t.Fatalf("%s of %q: %v", name, key, err)
					}
					if st.ID() != want {
						t.Errorf("%s of %q finds another entity", name, key)
					}
					found++
				}
				if found != 1 {
					t.Errorf("%s of %q, indexed %v, finds %d", name, key, indexed, found)
				}
			}
			if err := snap.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for err := range snap.(storage.Checker).Check(t.Context()) {
		t.Error(err)
	}
}

// Collections whose names PostgreSQL would cut or take for something else live
// side by side.
func TestCollectionNames(t *testing.T) {
	url := witnessed(t)
	e := open(t, url, nil)
	w := storagetest.NewWriter(t, 1)
	long := strings.Repeat("a", 63)
	names := []string{"user", "select", "table", "a", "a_events", "a_view", "a_events_events", "_ankurah_meta", "_ankurah_txs", "witness", "ankurah_id",
		long, long + "b", long + "c", strings.Repeat("a", 128), long[:56], long[:57], long[:57] + "_events"}
	for _, name := range names {
		tx := w.Tx(w.Create(name, storagetest.Set("name", value.String(name))))
		if r, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx}}); err != nil || r.Conflicts != nil {
			t.Fatal(name, err, r.Conflicts)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, url, nil)
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for _, name := range names {
		var got []string
		for st, err := range snap.All(t.Context(), name) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, st.Value("name").Text())
		}
		if !slices.Equal(got, []string{name}) {
			t.Errorf("%s holds %q", name, got)
		}
	}
	if stored, err := snap.Collections(t.Context()); err != nil || len(stored) != len(names) {
		t.Errorf("%d collections, want %d: %v", len(stored), len(names), err)
	}
}

// Every value that hostile texts can get into is stored and found, or refused.
func TestHostileValues(t *testing.T) {
	e := open(t, witnessed(t), nil)
	w := storagetest.NewWriter(t, 1)
	texts := append([]string{"a\x00b", "\xFF", "\xC3"}, hostile...)
	for _, text := range texts {
		ops := []event.Operation{storagetest.Set("raw", value.Bytes([]byte(text)))}
		valid := value.Validate(value.String(text)) == nil
		if valid {
			ops = append(ops, storagetest.Set("name", value.String(text)), storagetest.Set("tags", value.List(value.KindString, []value.Value{value.String(text)})))
		}
		st := w.Create("album", ops...)
		tx := w.Tx(st)
		tx.Meta = []storage.MetaWrite{{Key: []byte(text), Value: []byte(text)}}
		tx.Claims = []storage.Claim{{Key: []byte(text), Entity: st.After.ID()}}
		if r, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx}}); err != nil || r.Conflicts != nil {
			t.Fatalf("%q: %v %v", text, err, r.Conflicts)
		}
		snap, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if v, ok, err := snap.Meta(t.Context(), []byte(text)); err != nil || !ok || string(v) != text {
			t.Errorf("meta %q: %q %v %v", text, v, ok, err)
		}
		if i, ok, err := snap.Claimed(t.Context(), []byte(text)); err != nil || !ok || i != st.After.ID() {
			t.Errorf("claim %q: %v %v", text, ok, err)
		}
		lit := &ankql.Literal{Value: value.String(text)}
		name, tags := &ankql.Path{Parts: []string{"name"}, Key: "name"}, &ankql.Path{Parts: []string{"tags"}, Key: "tags"}
		for what, where := range map[string]ankql.Expr{
			"equality": &ankql.Binary{Op: ankql.OpEq, L: name, R: lit},
			"bytes":    &ankql.Binary{Op: ankql.OpEq, L: &ankql.Path{Parts: []string{"raw"}, Key: "raw"}, R: &ankql.Literal{Value: value.Bytes([]byte(text))}},
			"list":     &ankql.Binary{Op: ankql.OpContains, L: tags, R: lit},
		} {
			sel := &ankql.Selection{Collection: "album", Limit: -1, Where: where}
			n, err := snap.Count(t.Context(), sel)
			if err != nil || (n == 1) != (valid || what == "bytes") {
				t.Errorf("%s of %q finds %d: %v", what, text, n, err)
			}
		}
		sel := &ankql.Selection{Collection: "album", Limit: -1, Where: &ankql.Binary{Op: ankql.OpLt, L: name, R: lit}, Order: []ankql.OrderTerm{{Path: name, Desc: true}}}
		var all []*entity.State
		for st, err := range snap.All(t.Context(), "album") {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, st)
		}
		want, k := storagetest.Expect(sel, all), 0
		for st, err := range snap.Scan(t.Context(), sel) {
			if err != nil || k >= len(want) || st.ID() != want[k].ID() {
				t.Fatalf("below %q: row %d of %d: %v", text, k, len(want), err)
			}
			k++
		}
		if err := snap.Close(); err != nil {
			t.Error(err)
		}
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for err := range snap.(storage.Checker).Check(t.Context()) {
		t.Error(err)
	}
}

// People read the tables: IDs as text in the view, values in typed columns.
func TestView(t *testing.T) {
	url := pgtest.New(t)
	e := open(t, url, nil)
	w := storagetest.NewWriter(t, 1)
	artist := w.Create("artist", storagetest.Set("name", value.String("Björk")))
	album := w.Create("album", storagetest.Set("name", value.String("Post")), storagetest.Set("artist", value.ID(artist.After.ID())), storagetest.Set("year", value.Int32(1995)))
	gone := w.Create("album", storagetest.Set("name", value.String("gone")))
	for _, tx := range []storage.Tx{w.Tx(artist, album, gone), w.Tx(w.Edit(gone.After, entity.SetDeleted(true)))} {
		if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx}}); err != nil {
			t.Fatal(err)
		}
	}
	conn := connect(t, url)
	var id, by, name string
	var year int32
	if err := conn.QueryRow(t.Context(), "SELECT id, artist, name, year FROM album_view").Scan(&id, &by, &name, &year); err != nil {
		t.Fatal(err)
	}
	if id != album.After.ID().String() || by != artist.After.ID().String() || name != "Post" || year != 1995 {
		t.Errorf("%s %s %s %d", id, by, name, year)
	}
	var events int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM album_events").Scan(&events); err != nil || events != 3 {
		t.Errorf("%d events, %v", events, err)
	}
	var described int
	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_description d JOIN pg_class c ON c.oid = d.objoid WHERE c.relname = 'album'").Scan(&described)
	if err != nil || described < 6 {
		t.Errorf("%d comments, %v", described, err)
	}
}

// Check finds what somebody changed behind the engine's back.
func TestCheck(t *testing.T) {
	for _, sql := range []string{
		"UPDATE album SET name = 'other'", "UPDATE album SET n = NULL", "UPDATE album SET _rev = 7", "UPDATE album SET _deleted = true", "UPDATE album SET _odd = '{n}'",
		`UPDATE album SET doc = '{"a": 2}'`, "UPDATE album SET tags = '{a,b}'", "UPDATE album SET _state = '\\x00'", "UPDATE album_events SET event = id FROM album", "UPDATE album_events SET body = '\\x00'",
	} {
		t.Run(sql, func(t *testing.T) {
			url := pgtest.New(t)
			e := open(t, url, nil)
			w := storagetest.NewWriter(t, 1)
			doc, err := value.ParseJSON(`{"a":1.5,"b":[1e3,"x"]}`)
			if err != nil {
				t.Fatal(err)
			}
			st := w.Create("album", storagetest.Set("name", value.String("x")), storagetest.Set("n", value.Int64(1)), storagetest.Set("doc", doc),
				storagetest.Set("tags", value.List(value.KindString, []value.Value{value.String("a")})), storagetest.Set("when", value.Micros(1)))
			if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(st)}}); err != nil {
				t.Fatal(err)
			}
			faults := func() (n int) {
				snap, err := e.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				defer snap.Close()
				for err := range snap.(storage.Checker).Check(t.Context()) {
					if !storage.IsCorrupt(err) {
						t.Fatal(err)
					}
					n++
				}
				return n
			}
			if n := faults(); n != 0 {
				t.Fatalf("%d faults in a sound store", n)
			}
			exec(t, connect(t, url), sql)
			if n := faults(); n != 1 {
				t.Errorf("%d faults", n)
			}
		})
	}
}
