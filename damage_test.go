package ankurah_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/dump"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// records is what a store holds under its keys.
type records map[string][]byte

func recordsOf(t *testing.T, s kv.Store) records {
	t.Helper()
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	it, err := snap.Scan(t.Context(), nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	out := records{}
	for it.Next() {
		out[string(it.Key())] = append([]byte{}, it.Value()...)
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (r records) batch() *kv.Batch {
	b := &kv.Batch{}
	for key, v := range r {
		b.Writes = append(b.Writes, kv.Write{Key: []byte(key), Value: v})
	}
	return b
}

// damaged is a store with one record damaged.
type damaged struct {
	what    string
	name    string // of the record
	records records
	lost    bool // a record is not where it was: who looks for it finds nothing
	unknown bool // that there should be such a record nobody knows
}

// soundStore is the store of a durable node in which every space of keys has
// records: entities with several events, a deleted one, an index, a claim.
func soundStore(t *testing.T) records {
	t.Helper()
	store := memory.NewStore()
	e, err := kv.New(store, &kv.Options{Location: "test", KeepStore: true})
	if err != nil {
		t.Fatal(err)
	}
	n, err := ankurah.OpenNode(t.Context(), e, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err == nil {
		err = n.EnsureSystem(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	s, album := n.Session(policy.Principal{}), ankurah.Dynamic("album")
	var ids []ankurah.ID
	err = s.Update(t.Context(), func(tx *ankurah.Tx) error {
		for k := range 5 {
			a, err := album.Create(tx, &ankurah.Fields{"name": fmt.Sprint("album ", k), "year": 1990 + k})
			if err != nil {
				return err
			}
			ids = append(ids, a.ID())
		}
		return nil
	})
	for k := 0; k < 6 && err == nil; k++ {
		err = s.Update(t.Context(), func(tx *ankurah.Tx) error {
			a, err := album.Edit(tx, ids[k%3])
			if err != nil {
				return err
			}
			return a.Set("year", 2000+k)
		})
	}
	if err == nil {
		err = s.Update(t.Context(), func(tx *ankurah.Tx) error { return album.Delete(tx, ids[4]) })
	}
	if err == nil {
		err = e.EnsureIndex(t.Context(), "album", schema.Index{Columns: []schema.Column{{Path: []string{"year"}}}})
	}
	if err == nil {
		_, err = e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{{Claims: []storage.Claim{{Key: []byte("album 0"), Entity: ids[0]}}}}})
	}
	if err = errors.Join(err, n.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	return recordsOf(t, store)
}

// reading is the answer to one question, in lines.
type reading struct {
	lines []string
	err   error
}

// readings are the answers to all questions. What is asked follows from a sound
// store, so that a damaged one is asked the same.
type readings map[string]reading

func (r readings) ask(question string, f func(say func(string, ...any)) error) {
	var out reading
	out.err = f(func(format string, args ...any) { out.lines = append(out.lines, fmt.Sprintf(format, args...)) })
	r[question] = out
}

// questions names what is in a sound store.
type questions struct {
	entities []id.ID
	events   []id.ID
	txs      []event.TxID
	commits  int // that the feed tells
}

func questionsOf(sound records) (q questions) {
	for key := range sound {
		switch rest := key[1:]; key[0] {
		case 1:
			if name, i, _ := strings.Cut(rest, "\x00"); name == "album" {
				q.entities = append(q.entities, id.ID([]byte(i)))
			}
		case 3:
			q.events = append(q.events, id.ID([]byte(rest)))
		case 4:
			q.txs = append(q.txs, event.TxID([]byte(rest)))
		case 6:
			if strings.HasPrefix(rest, "feed/") {
				q.commits++
			}
		}
	}
	return q
}

// readStore reads everything through the contract of storage.
func readStore(ctx context.Context, e storage.Engine, q questions) (readings, error) {
	snap, err := e.Snapshot()
	if err != nil {
		return nil, err
	}
	r := readings{}
	type say = func(string, ...any)
	for _, i := range q.entities {
		r.ask("State "+i.String(), func(say say) error {
			st, err := snap.State(ctx, "album", i)
			if err == nil && st != nil {
				say("%x", st.Append(nil))
			}
			return err
		})
		for _, last := range []uint64{1, 3, 1 << 60} {
			r.ask(fmt.Sprint("Events ", i, last), func(say say) error {
				for ev, err := range snap.Events(ctx, "album", i, 1, last) {
					if err != nil {
						return err
					}
					say("%x", ev.Append(nil))
				}
				return nil
			})
		}
	}
	for _, i := range q.events {
		r.ask("Find "+i.String(), func(say say) error {
			at, ok, err := snap.Find(ctx, i)
			if ok {
				say("%v", at)
			}
			return err
		})
	}
	for _, tx := range q.txs {
		r.ask("Tx "+tx.String(), func(say say) error {
			b, ok, err := snap.Tx(ctx, tx)
			if ok {
				say("%x", b)
			}
			return err
		})
	}
	r.ask("All", func(say say) error {
		for st, err := range snap.All(ctx, "album") {
			if err != nil {
				return err
			}
			say("%v %x", st.ID(), st.Append(nil))
		}
		return nil
	})
	for _, text := range []string{"", "year >= 0 ORDER BY year DESC", "year = 2003", "year = 2003 OR year = 1993", "name = 'album 3'", "ORDER BY name LIMIT 2"} {
		sel, err := ankql.BindTemplate(text, nil, nil, "album")
		if err != nil {
			return nil, err
		}
		r.ask("Scan "+text, func(say say) error {
			for st, err := range snap.Scan(ctx, sel) {
				if err != nil {
					return err
				}
				say("%v %x", st.ID(), st.Append(nil))
			}
			return nil
		})
		r.ask("Count "+text, func(say say) error {
			n, err := snap.Count(ctx, sel)
			for k := range n {
				say("%d", k)
			}
			return err
		})
	}
	r.ask("Collections", func(say say) error {
		names, err := snap.Collections(ctx)
		for _, name := range names {
			say("%s", name)
		}
		return err
	})
	r.ask("Claimed", func(say say) error {
		i, ok, err := snap.Claimed(ctx, []byte("album 0"))
		if ok {
			say("%v", i)
		}
		return err
	})
	r.ask("MetaRange", func(say say) error {
		for m, err := range snap.MetaRange(ctx, nil, nil) {
			if err != nil {
				return err
			}
			say("%q %x", m.Key, m.Value)
		}
		return nil
	})
	return r, snap.Close()
}

// readNode reads everything as users do.
func readNode(ctx context.Context, e storage.Engine, q questions) (readings, error) {
	n, err := ankurah.OpenNode(ctx, e, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return nil, err
	}
	defer n.Close()
	s, album := n.Session(policy.Principal{}), ankurah.Dynamic("album")
	r := readings{}
	type say = func(string, ...any)
	line := func(v ankurah.Record) string {
		name, _ := v.Get("name")
		year, _ := v.Get("year")
		return fmt.Sprint(v.ID(), name, year)
	}
	for _, i := range q.entities {
		r.ask("Get "+i.String(), func(say say) error {
			v, err := album.Get(ctx, s, i)
			if err == nil {
				say("%s", line(v))
			}
			if errors.Is(err, ankurah.ErrNotFound) {
				return nil
			}
			return err
		})
		r.ask("History "+i.String(), func(say say) error {
			for ev, err := range album.History(ctx, s, i) {
				if errors.Is(err, ankurah.ErrNotFound) {
					return nil
				}
				if err != nil {
					return err
				}
				say("%v", ev)
			}
			return nil
		})
	}
	for _, text := range []string{"", "year >= 0 ORDER BY year DESC", "year = 2003", "name = 'album 3'"} {
		r.ask("Fetch "+text, func(say say) error {
			vs, err := album.Fetch(ctx, s, text)
			for _, v := range vs {
				say("%s", line(v))
			}
			return err
		})
		r.ask("Query "+text, func(say say) error {
			live, err := album.Query(ctx, s, text)
			if err != nil {
				return err
			}
			for _, v := range live.Rows() {
				say("%s", line(v))
			}
			err = live.Err()
			live.Close()
			<-live.Done()
			return err
		})
	}
	r.ask("Changes", func(say say) error {
		left := q.commits // behind the last one it waits for more
		if left == 0 {
			return nil
		}
		for c, err := range n.Changes(ctx, "") {
			if err != nil {
				return err
			}
			say("%v", c)
			if left--; left == 0 {
				break
			}
		}
		return nil
	})
	return r, nil
}

// compare fails the test where a damaged store answers something that is not
// so. Where a record is lost, less may be answered, and nothing else.
func (d *damaged) compare(t *testing.T, got, want readings) {
	t.Helper()
	for question, g := range got {
		w := want[question]
		switch {
		case g.err != nil && !storage.IsCorrupt(g.err):
			t.Errorf("%s: %s: %v", d.what, question, g.err)
		case g.err == nil && !d.lost && !slices.Equal(g.lines, w.lines):
			t.Errorf("%s: %s is\n%q, want\n%q", d.what, question, g.lines, w.lines)
		case g.err == nil && d.lost && !subset(g.lines, w.lines) && !strings.Contains(question, "LIMIT"):
			t.Errorf("%s: %s is\n%q, of\n%q", d.what, question, g.lines, w.lines)
		}
	}
}

func subset(some, all []string) bool {
	for _, x := range some {
		if !slices.Contains(all, x) {
			return false
		}
	}
	return true
}

// verify fails the test unless verifying names the damaged record.
func (d *damaged) verify(t *testing.T, e storage.Engine) {
	t.Helper()
	told := map[string]bool{}
	_, err := dump.Verify(t.Context(), e, &dump.Options{Damage: func(err error) {
		if told[err.Error()] || !storage.IsCorrupt(err) {
			t.Errorf("%s: told %v", d.what, err)
		}
		told[err.Error()] = true
	}})
	if d.unknown && err == nil {
		return
	}
	named := slices.ContainsFunc(slices.Collect(maps.Keys(told)), func(text string) bool { return strings.Contains(text, d.name) })
	if !storage.IsCorrupt(err) || !named {
		t.Errorf("%s: verified: %v, %q, want one of %q", d.what, err, slices.Collect(maps.Keys(told)), d.name)
	}
}

// nameOf returns what people call the record under a key, or what it is of.
func nameOf(key string) string {
	b := []byte(key[1:])
	switch key[0] {
	case 1:
		return id.ID(b[len(b)-16:]).String()
	case 2:
		return "event of " + id.ID(b[:16]).String() + " at rev " + fmt.Sprint(b[23])
	case 3:
		return "position of event " + id.ID(b).String()
	case 4:
		return "transaction " + event.TxID(b).String()
	case 5:
		return fmt.Sprintf("claim %+q", b)
	case 6:
		return "meta record "
	case 7:
		return "index"
	case 8:
		return "index"
	}
	return "format"
}

// read opens a store with one record damaged and reads all of it.
func (d *damaged) read(t *testing.T, store kv.Store, q questions, wantStore, wantNode readings) {
	t.Helper()
	e, err := kv.New(store, &kv.Options{Location: "test", KeepStore: true})
	if err != nil {
		if !storage.IsCorrupt(err) {
			t.Errorf("%s: %v", d.what, err)
		}
		return
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	d.verify(t, e)
	got, err := readStore(t.Context(), e, q)
	if err != nil {
		t.Errorf("%s: %v", d.what, err)
	}
	d.compare(t, got, wantStore)
	if d.lost {
		q.commits = 0
	}
	got, err = readNode(t.Context(), e, q)
	if err != nil && !storage.IsCorrupt(err) {
		t.Errorf("%s: open: %v", d.what, err)
	}
	d.compare(t, got, wantNode)
}

// damages returns stores in each of which one record is damaged.
func damages(sound records, rnd *rand.Rand) (out []damaged) {
	add := func(what, key string, lost bool, change func(r records)) {
		r := maps.Clone(sound)
		change(r)
		out = append(out, damaged{what: fmt.Sprintf("%s %q", what, key), name: nameOf(key), records: r, lost: lost})
	}
	keys := slices.Sorted(maps.Keys(sound))
	for k, key := range keys {
		v := sound[key]
		for range 3 {
			at, bit := rnd.IntN(len(v)), byte(1)<<rnd.IntN(8)
			add(fmt.Sprint("a flip in byte ", at, " under"), key, false, func(r records) {
				r[key] = bytes.Clone(v)
				r[key][at] ^= bit
			})
		}
		for _, n := range []int{0, len(v) - 1, rnd.IntN(len(v))} {
			add(fmt.Sprint("a cut to ", n, " under"), key, false, func(r records) { r[key] = v[:n] })
		}
		add("garbage under", key, false, func(r records) { r[key] = append(bytes.Clone(v), "garbage"...) })
		if k > 0 && key[0] == keys[k-1][0] && !bytes.Equal(v, sound[keys[k-1]]) {
			add("the neighbour's value under", key, false, func(r records) { r[key] = sound[keys[k-1]] })
		}
		// A rev without an event is missed.
		missed := key[0] == 2
		add("nothing under", key, !missed, func(r records) { delete(r, key) })
		out[len(out)-1].unknown = key[0] == 5 || key[0] == 6 && key[1:] != "root" && key[1:] != "clock"
		if key[0] > 0 {
			at, bit := 1+rnd.IntN(max(1, len(key)-1)), byte(1)<<rnd.IntN(8)
			if at < len(key) {
				add(fmt.Sprint("a flip in byte ", at, " of"), key, true, func(r records) {
					delete(r, key)
					b := []byte(key)
					b[at] ^= bit
					r[string(b)] = v
				})
				out[len(out)-1].name = ""
			}
			add("a cut of", key, true, func(r records) {
				delete(r, key)
				r[key[:len(key)-1]] = v
			})
			out[len(out)-1].name = ""
		}
	}
	return out
}

// What is damaged is an error that says so or is not read, never other data
// and never a panic, and verifying names it.
func TestDamagedRecords(t *testing.T) {
	sound := soundStore(t)
	q := questionsOf(sound)
	spaces := map[byte]int{}
	for key := range sound {
		spaces[key[0]]++
	}
	for space := range byte(9) {
		if spaces[space] == 0 {
			t.Fatalf("there is nothing in space %d", space)
		}
	}
	open := func(r records) *memory.Store {
		s := memory.NewStore()
		if err := s.Apply(t.Context(), r.batch()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	e, err := kv.New(open(sound), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStore, err := readStore(t.Context(), e, q)
	if err != nil {
		t.Fatal(err)
	}
	wantNode, err := readNode(t.Context(), e, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range []readings{wantStore, wantNode} {
		for question, w := range all {
			if w.err != nil {
				t.Fatalf("%s: %v", question, w.err)
			}
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, d := range damages(sound, rnd) {
		d.read(t, open(d.records), q, wantStore, wantNode)
	}
	t.Run("pebble", func(t *testing.T) {
		all := damages(sound, rnd)
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, d := range all[:40] {
			s, err := pebble.OpenStore(t.Context(), t.TempDir(), &pebble.Options{NoSync: true})
			if err == nil {
				err = s.Apply(t.Context(), d.records.batch())
			}
			if err != nil {
				t.Fatal(err)
			}
			d.read(t, s, q, wantStore, wantNode)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Records that are sealed and wrong are found by what they say.
func TestForgedRecords(t *testing.T) {
	sound := soundStore(t)
	first := func(prefix string) string {
		for _, key := range slices.Sorted(maps.Keys(sound)) {
			if strings.HasPrefix(key, prefix) {
				return key
			}
		}
		t.Fatalf("nothing begins with %q", prefix)
		return ""
	}
	put := func(r records, key string, value []byte) {
		sum := crc32.Checksum([]byte(key+string(value)), crc32.MakeTable(crc32.Castagnoli))
		r[key] = binary.BigEndian.AppendUint32(bytes.Clone(value), sum)
	}
	said := func(key string) []byte { return sound[key][:len(sound[key])-4] }
	album := first("\x01album\x00")
	entity := album[len("\x01album\x00"):]
	who := id.ID([]byte(entity)).String()
	at := func(rev byte) string { return "\x02" + entity + "\x00\x00\x00\x00\x00\x00\x00" + string(rev) }
	idOf := func(key string) string {
		e, err := event.Decode(said(key))
		if err != nil {
			t.Fatal(err)
		}
		return string(e.ID[:])
	}
	born, next := "\x03"+idOf(at(1)), "\x03"+idOf(at(2))
	entry := ""
	for key := range sound {
		if key[0] == 8 && strings.HasSuffix(key, entity) {
			entry = key
		}
	}
	other := first("\x02" + first("\x01_system\x00")[len("\x01_system\x00"):])
	for _, c := range []struct {
		what   string
		change func(r records)
		want   string
	}{
		{"another value", func(r records) {
			put(r, album, bytes.Replace(said(album), []byte("album 0"), []byte("album X"), 1))
		}, "state of album " + who + ": its events lead to another name"},
		{"a state of no events", func(r records) {
			twin := id.New(id.NewStamp(1, 1), [8]byte{1})
			put(r, "\x01album\x00"+string(twin[:]), said(album))
		}, "event of 0000000001000G200000000000 at rev 1: it is missing"},
		{"the last event twice", func(r records) { put(r, at(9), said(at(3))) }, "event of " + who + " at rev 4: it is missing"},
		{"two events exchanged", func(r records) {
			put(r, at(2), said(at(3)))
			put(r, at(3), said(at(2)))
		}, "position of event " + id.ID([]byte(next[1:])).String() + ": the event is at rev 3"},
		{"an event of another entity", func(r records) { put(r, at(2), said(other)) }, "it is of another entity"},
		{"a position of another rev", func(r records) { put(r, born, said(next)) }, "position of event " + id.ID([]byte(born[1:])).String()},
		{"a position of nothing", func(r records) { put(r, "\x03"+strings.Repeat("\x01", 16), said(born)) }, "there is no such event"},
		{"a record of another transaction", func(r records) {
			keys := slices.DeleteFunc(slices.Sorted(maps.Keys(sound)), func(k string) bool { return k[0] != 4 })
			put(r, keys[0], said(keys[1]))
		}, "record of transaction "},
		{"an unknown transaction", func(r records) { put(r, "\x04"+strings.Repeat("\x01", 16), said(first("\x04"))) }, "record of transaction 01010101"},
		{"a claim of no entity", func(r records) { put(r, first("\x05"), []byte("x")) }, "claim "},
		{"an older clock", func(r records) { put(r, "\x06clock", make([]byte, 8)) }, "meta record clock: there are later events"},
		{"another root", func(r records) { put(r, "\x06root", []byte(entity)) }, "it is of another system"},
		{"an entry of another value", func(r records) {
			delete(r, entry)
			put(r, strings.Replace(entry, entry[2:5], "\xf0zz", 1), nil)
		}, who + " has an entry that is not its own"},
		{"no entry", func(r records) { delete(r, entry) }, who + " has no entry"},
		{"a second entry", func(r records) { put(r, entry[:2]+"\xf0"+entity, nil) }, who + " has an entry that is not its own"},
		{"an entry of an unknown index", func(r records) { put(r, "\x08\x63"+entry[2:], nil) }, "an index that the catalog does not have"},
		{"an unknown space", func(r records) { put(r, "\x09x", nil) }, `record under key "\tx": malformed key`},
		{"a space with nothing behind it", func(r records) { put(r, "\x02", nil) }, "malformed key"},
	} {
		r := maps.Clone(sound)
		c.change(r)
		s := memory.NewStore()
		if err := s.Apply(t.Context(), r.batch()); err != nil {
			t.Fatal(err)
		}
		e, err := kv.New(s, nil)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		d := damaged{what: c.what, name: c.want}
		d.verify(t, e)
		if err := storagetest.Whole(t.Context(), e, property.NewRegistry(lww.Kind)); !storage.IsCorrupt(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: whole: %v", c.what, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
