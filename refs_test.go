package ankurah_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Songs refer to albums, albums to artists, artists to artists.
var refModels = []ankurah.AnyCollection{
	refModel("song", "album", "album"),
	refModel("album", "artist", "artist"),
	refModel("artist", "mentor", "artist"),
}

func refModel(collection, ref, to string) declared {
	m := &schema.Model{Name: collection, Collection: collection, Properties: []schema.Property{
		{Key: "name", Type: value.Type{Kind: value.KindString}, Kind: schema.LWW},
		{Key: "n", Type: value.Type{Kind: value.KindInt32}, Kind: schema.LWW},
		{Key: ref, Type: value.Type{Kind: value.KindID}, Kind: schema.LWW, Ref: to, Optional: true},
	}}
	slices.SortFunc(m.Properties, func(a, b schema.Property) int { return strings.Compare(a.Key, b.Key) })
	return declared{m}
}

// refWorld makes random commits to the three collections.
type refWorld struct {
	t     testing.TB
	r     *rand.Rand
	s     *ankurah.Session
	ids   map[string][]ankurah.ID
	songs bool // alone are edited
}

var refKeys = map[string]string{"song": "album", "album": "artist", "artist": "mentor"}

func (w *refWorld) commit() {
	w.t.Helper()
	err := w.s.Update(w.t.Context(), func(tx *ankurah.Tx) error {
		for range 1 + w.r.IntN(3) {
			name := []string{"song", "song", "album", "artist"}[w.r.IntN(4)]
			if w.songs {
				name = "song"
			}
			c := ankurah.Dynamic(name)
			ids := w.ids[name]
			if len(ids) < 4 || len(ids) < 30 && w.r.IntN(4) == 0 {
				e, err := c.Create(tx, &ankurah.Fields{})
				if err != nil {
					return err
				}
				w.ids[name] = append(ids, e.ID())
				if err := w.fill(name, e, true); err != nil {
					return err
				}
				continue
			}
			i := ids[w.r.IntN(len(ids))]
			if w.r.IntN(10) == 0 {
				if err := ignoreMissing(c.Restore(tx, i)); err != nil {
					return err
				}
			}
			e, err := c.Edit(tx, i)
			switch {
			case err != nil:
				err = ignoreMissing(err)
			case w.r.IntN(9) == 0:
				err = e.Delete()
			default:
				err = w.fill(name, e, false)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *refWorld) fill(name string, e *ankurah.Edit, all bool) error {
	key := refKeys[name]
	to := w.ids[map[string]string{"album": "album", "artist": "artist", "mentor": "artist"}[key]]
	if all || w.r.IntN(2) == 0 {
		if err := e.Set("name", string("abcde"[w.r.IntN(5)])); err != nil {
			return err
		}
	}
	if all || w.r.IntN(2) == 0 {
		if err := e.Set("n", w.r.IntN(6)); err != nil {
			return err
		}
	}
	switch {
	case w.r.IntN(8) == 0:
		return e.Set(key, ankurah.ID{15: byte(w.r.IntN(3))}) // of nobody
	case len(to) > 0 && (all || w.r.IntN(2) == 0):
		return e.Set(key, to[w.r.IntN(len(to))])
	}
	return nil
}

// seen is the oracle's row: a song and what it refers to, nil for nothing.
type seen struct{ song, album, artist, mentor *ankurah.Record }

func text(r *ankurah.Record) (string, bool) {
	if r == nil {
		return "", false
	}
	v, ok := r.Get("name")
	if !ok {
		return "", false
	}
	return v.(string), true
}

func number(r *ankurah.Record) (int, bool) {
	if r == nil {
		return 0, false
	}
	v, ok := r.Get("n")
	if !ok {
		return 0, false
	}
	return int(v.(int32)), true
}

// refQueries are selections with what they mean, spelled out.
var refQueries = []struct {
	text  string
	match func(s seen, arg int) bool // a NULL comparison is not true
	less  func(a, b seen) int
}{
	{"album.name = :name", func(s seen, k int) bool { x, ok := text(s.album); return ok && x == letter(k) }, nil},
	{"album.artist.name = :name AND n > 1", func(s seen, k int) bool {
		x, ok := text(s.artist)
		n, _ := number(s.song)
		return ok && x == letter(k) && n > 1
	}, nil},
	{"album.artist.mentor.n >= :k", func(s seen, k int) bool { x, ok := number(s.mentor); return ok && x >= k }, nil},
	{"album.artist.name IS NULL", func(s seen, k int) bool { _, ok := text(s.artist); return !ok }, nil},
	{"album.name = :name OR album.artist.n = :k", func(s seen, k int) bool {
		x, ok := text(s.album)
		n, there := number(s.artist)
		return ok && x == letter(k) || there && n == k
	}, nil},
	{"NOT (album.artist.name < :name)", func(s seen, k int) bool { x, ok := text(s.artist); return ok && x >= letter(k) }, nil},
	{"n >= 0 ORDER BY album.name, n DESC", func(s seen, k int) bool { return true }, func(a, b seen) int {
		return cmp.Or(nullsLast(text, a.album, b.album), -nullsLast(number, a.song, b.song))
	}},
	{"album.artist.n < 4 ORDER BY album.artist.name DESC LIMIT 5", func(s seen, k int) bool { x, ok := number(s.artist); return ok && x < 4 }, func(a, b seen) int {
		return -nullsLast(text, a.artist, b.artist)
	}},
	{"album.name = name", func(s seen, k int) bool {
		x, ok := text(s.album)
		y, there := text(s.song)
		return ok && there && x == y
	}, nil},
	{"album.artist.id IS NOT NULL ORDER BY n LIMIT 3", func(s seen, k int) bool { return s.artist != nil }, func(a, b seen) int { return nullsLast(number, a.song, b.song) }},
}

func letter(k int) string { return string("abcdef"[k%6]) }

func nullsLast[T cmp.Ordered](get func(*ankurah.Record) (T, bool), a, b *ankurah.Record) int {
	x, there := get(a)
	y, also := get(b)
	switch {
	case there && also:
		return cmp.Compare(x, y)
	case there:
		return -1
	case also:
		return 1
	}
	return 0
}

// all reads a collection's entities by ID.
func allOf(t testing.TB, s ankurah.Reader, name string) map[ankurah.ID]*ankurah.Record {
	out := map[ankurah.ID]*ankurah.Record{}
	rows, err := ankurah.Dynamic(name).Fetch(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		out[r.ID()] = &r
	}
	return out
}

func follow(r *ankurah.Record, key string, in map[ankurah.ID]*ankurah.Record) *ankurah.Record {
	if r == nil {
		return nil
	}
	v, ok := r.Get(key)
	if !ok {
		return nil
	}
	return in[v.(ankurah.ID)]
}

// allSeen returns all songs with what they refer to, as the principal reads them.
func allSeen(t testing.TB, s ankurah.Reader) (out []seen) {
	songs, albums, artists := allOf(t, s, "song"), allOf(t, s, "album"), allOf(t, s, "artist")
	for _, song := range songs {
		x := seen{song: song}
		x.album = follow(song, "album", albums)
		x.artist = follow(x.album, "artist", artists)
		x.mentor = follow(x.artist, "mentor", artists)
		out = append(out, x)
	}
	return out
}

// expected answers query k from what the principal reads of each collection.
func expected(t testing.TB, s *ankurah.Session, k, arg int) []ankurah.Record {
	q := refQueries[k]
	var out []seen
	for _, x := range allSeen(t, s) {
		if q.match(x, arg) {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b seen) int {
		if q.less != nil {
			if c := q.less(a, b); c != 0 {
				return c
			}
		}
		return a.song.ID().Compare(b.song.ID())
	})
	var limit int
	if _, err := fmt.Sscanf(q.text[max(0, strings.Index(q.text, "LIMIT")):], "LIMIT %d", &limit); err == nil && len(out) > limit {
		out = out[:limit]
	}
	rows := make([]ankurah.Record, len(out))
	for k, x := range out {
		rows[k] = *x.song
	}
	return rows
}

// refsWatched is a live query through references.
type refsWatched struct {
	k, arg int
	watched
}

func refArgs(k int) []any {
	var args []any
	args = append(args, ankql.Named{Name: "name", Value: letter(k)}, ankql.Named{Name: "k", Value: k})
	return args
}

func watchRefs(t testing.TB, s *ankurah.Session, k, arg int) *refsWatched {
	t.Helper()
	w := &refsWatched{k: k, arg: arg}
	w.text = refQueries[k].text
	for _, a := range refArgs(arg) {
		if strings.Contains(w.text, ":"+a.(ankql.Named).Name) {
			w.args = append(w.args, a)
		}
	}
	w.sets, w.folded = make(chan ankurah.ChangeSet[ankurah.Record], 10_000), map[ankurah.ID]ankurah.Record{}
	q, err := ankurah.Dynamic("song").Query(t.Context(), s, w.text, w.args...)
	if err != nil {
		t.Fatalf("%s: %v", w.text, err)
	}
	w.q = q
	t.Cleanup(q.Close)
	q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) { w.sets <- cs })
	return w
}

// S44, S52, S57: queries through references give what following them by hand
// gives, when fetched and live after every commit, whichever side it changes.
func TestReferencesAreFollowed(t *testing.T) {
	for name, open := range oracleEngines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(max(2, *oracleRounds/3)) {
				eng := open(t)
				n := openNode(t, eng, &ankurah.NodeOptions{Policy: policy.Permissive{}, Models: refModels})
				w := &refWorld{t: t, r: rand.New(rand.NewPCG(seed, 44)), s: n.Session(alice), ids: map[string][]ankurah.ID{}}
				for range 25 {
					w.commit()
				}
				var queries []*refsWatched
				for k := range refQueries {
					queries = append(queries, watchRefs(t, w.s, k, w.r.IntN(5)), watchRefs(t, w.s, k, w.r.IntN(5)))
				}
				matches := 0
				for range 60 {
					w.commit()
					for _, q := range queries {
						want := expected(t, w.s, q.k, q.arg)
						matches += len(want)
						fresh, err := ankurah.Dynamic("song").Fetch(t.Context(), w.s, q.text, q.args...)
						if err != nil {
							t.Fatal(err)
						}
						if diff := differ(fresh, want); diff != "" {
							t.Fatalf("seed %d: %s %v: fetched rows: %s", seed, q.text, q.args, diff)
						}
						if diff := settled(eng, func() string { return differ(q.q.Rows(), want) }); diff != "" {
							t.Fatalf("seed %d: %s %v: live rows: %s", seed, q.text, q.args, diff)
						}
						count, err := ankurah.Dynamic("song").Count(t.Context(), w.s, q.text, q.args...)
						if err != nil || int(count) != len(want) {
							t.Fatalf("seed %d: %s %v: counted %d of %d, %v", seed, q.text, q.args, count, len(want), err)
						}
					}
				}
				if matches < 1000 {
					t.Errorf("seed %d: %d rows: the queries prove little", seed, matches)
				}
				for _, q := range queries {
					for rows := q.q.Rows(); !sameSet(q.folded, rows); {
						q.fold(t, <-q.sets)
					}
				}
			}
		})
	}
}

// hiddenRefs lets nobody without the role "all" read some albums and artists.
func hiddenRefs(t testing.TB) policy.Agent {
	rules, err := policy.Rules{
		Collections: map[string][]policy.Rule{
			"song":   {{Read: "TRUE", Write: "TRUE"}},
			"album":  {{Read: "n <> 3", Write: "TRUE"}, {Role: "all", Read: "TRUE", Write: "TRUE"}},
			"artist": {{Read: "n < 4", Write: "TRUE"}, {Role: "all", Read: "TRUE", Write: "TRUE"}},
		},
		Credentials: func(_ context.Context, credential []byte) (policy.Principal, error) {
			return policy.Principal{Subject: string(credential)}, nil
		},
	}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// S38, S60: what lies behind a reference to what may not be read is NULL, on
// clients as on the server.
func TestReferencesToHidden(t *testing.T) {
	for seed := range uint64(3) {
		c := ankurahtest.New(t, &ankurahtest.Options{
			Server: ankurah.NodeOptions{Policy: hiddenRefs(t), Models: refModels}, Client: ankurah.NodeOptions{Models: refModels},
		})
		w := &refWorld{t: t, r: rand.New(rand.NewPCG(seed, 60)), s: c.Server().Session(policy.Principal{Subject: "root", Roles: []string{"all"}}), ids: map[string][]ankurah.ID{}}
		for range 25 {
			w.commit()
		}
		reader := c.Server().Session(policy.Principal{Subject: "phone"})
		phone := c.Client("phone")
		var queries, local []*refsWatched
		for k := range refQueries {
			arg := w.r.IntN(5)
			queries = append(queries, watchRefs(t, phone.Session, k, arg))
			local = append(local, watchRefs(t, reader, k, arg))
		}
		for range 30 {
			w.commit()
			c.Settle()
			for k, q := range queries {
				want := expected(t, reader, q.k, q.arg)
				if diff := differ(local[k].q.Rows(), want); diff != "" {
					t.Fatalf("seed %d: %s %v: live rows on the server: %s", seed, q.text, q.args, diff)
				}
				if err := q.q.WaitSynced(t.Context()); err != nil {
					t.Fatal(err)
				}
				if diff := differ(q.q.Rows(), want); diff != "" {
					t.Fatalf("seed %d: %s %v: live rows on the client: %s", seed, q.text, q.args, diff)
				}
			}
		}
	}
}

// S36, S44: a client that has an old copy of what a row refers to hears that it
// is not there any more, whether it was deleted or hidden, when it asks, when it
// comes back, and when a row comes to refer to it.
func TestReferencesToWhatIsGone(t *testing.T) {
	c := ankurahtest.New(t, &ankurahtest.Options{
		Server: ankurah.NodeOptions{Policy: hiddenRefs(t), Models: refModels}, Client: ankurah.NodeOptions{Models: refModels},
	})
	root := c.Server().Session(policy.Principal{Subject: "root", Roles: []string{"all"}})
	phone := c.Client("phone")
	ctx := t.Context()
	born := func(name string, fields ankurah.Fields) (id ankurah.ID) {
		t.Helper()
		err := root.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := ankurah.Dynamic(name).Create(tx, &fields)
			if err == nil {
				id = e.ID()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	edit := func(name string, id ankurah.ID, f func(*ankurah.Edit) error) {
		t.Helper()
		err := root.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := ankurah.Dynamic(name).Edit(tx, id)
			if err != nil {
				return err
			}
			return f(e)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	hidden := born("album", ankurah.Fields{"name": "a", "n": 1})
	deleted := born("album", ankurah.Fields{"name": "b", "n": 1})
	born("song", ankurah.Fields{"name": "first", "album": hidden})
	born("song", ankurah.Fields{"name": "second", "album": deleted})
	third := born("song", ankurah.Fields{"name": "third"})
	if rows, err := ankurah.Dynamic("album").Fetch(ctx, phone.Session, ""); err != nil || len(rows) != 2 {
		t.Fatalf("%d albums, %v", len(rows), err)
	}
	names := func(rows []ankurah.Record) string {
		var out []string
		for _, r := range rows {
			out = append(out, r.Fields()["name"].(string))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	q, err := ankurah.Dynamic("song").Query(ctx, phone.Session, "album.name IS NULL")
	if err == nil {
		err = q.WaitSynced(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	c.Settle()
	if got := names(q.Rows()); got != "third" {
		t.Fatalf("at first %q", got)
	}
	c.Cut(phone)
	edit("album", hidden, func(e *ankurah.Edit) error { return e.Set("n", 3) })
	edit("album", deleted, (*ankurah.Edit).Delete)
	edit("song", third, func(e *ankurah.Edit) error { return e.Set("album", hidden) })
	c.Heal(phone)
	if err := q.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	c.Settle()
	if got := names(q.Rows()); got != "first second third" {
		t.Errorf("the live query has %q after it has come back", got)
	}
	rows, err := ankurah.Dynamic("song").Fetch(ctx, phone.Session, "album.name IS NULL")
	if got := names(rows); err != nil || got != "first second third" {
		t.Errorf("fetched %q, %v", got, err)
	}
}

// The same while it is connected, of an album that nothing referred to.
func TestRowsComeToReferToWhatIsGone(t *testing.T) {
	c := ankurahtest.New(t, &ankurahtest.Options{
		Server: ankurah.NodeOptions{Policy: hiddenRefs(t), Models: refModels}, Client: ankurah.NodeOptions{Models: refModels},
	})
	root := c.Server().Session(policy.Principal{Subject: "root", Roles: []string{"all"}})
	phone := c.Client("phone")
	ctx := t.Context()
	var album, song ankurah.ID
	update := func(f func(tx *ankurah.Tx) error) {
		t.Helper()
		if err := root.Update(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *ankurah.Tx) error {
		a, err := ankurah.Dynamic("album").Create(tx, &ankurah.Fields{"name": "a", "n": 1})
		if err != nil {
			return err
		}
		s, err := ankurah.Dynamic("song").Create(tx, &ankurah.Fields{"name": "s"})
		if err != nil {
			return err
		}
		album, song = a.ID(), s.ID()
		return nil
	})
	if _, err := ankurah.Dynamic("album").Get(ctx, phone.Session, album); err != nil {
		t.Fatal(err)
	}
	q, err := ankurah.Dynamic("song").Query(ctx, phone.Session, "album.name IS NULL ORDER BY name")
	if err == nil {
		err = q.WaitSynced(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	update(func(tx *ankurah.Tx) error {
		e, err := ankurah.Dynamic("album").Edit(tx, album)
		if err != nil {
			return err
		}
		return e.Set("n", 3)
	})
	update(func(tx *ankurah.Tx) error {
		e, err := ankurah.Dynamic("song").Edit(tx, song)
		if err != nil {
			return err
		}
		return e.Set("album", album)
	})
	c.Settle()
	if n := len(q.Rows()); n != 1 || !q.Synced() {
		t.Errorf("%d rows, synced %t", n, q.Synced())
	}
}

// S38: what rows refer to goes and comes for a client when permissions are looked
// at again, and nothing else has happened.
func TestReferencesFollowPolicy(t *testing.T) {
	on := new(atomic.Bool)
	c := ankurahtest.New(t, &ankurahtest.Options{
		Server: ankurah.NodeOptions{Policy: switchedAgent{on: on}, Models: refModels}, Client: ankurah.NodeOptions{Models: refModels},
	})
	err := c.Server().Session(policy.Principal{Subject: "alice"}).Update(t.Context(), func(tx *ankurah.Tx) error {
		for _, name := range []string{"b", "a"} {
			a, err := ankurah.Dynamic("album").Create(tx, &ankurah.Fields{"name": name, "public": name == "b"})
			if err != nil {
				return err
			}
			if _, err := ankurah.Dynamic("song").Create(tx, &ankurah.Fields{"name": "of " + name, "album": a.ID(), "public": true}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	phone := c.Client("bob")
	names := func(q *ankurah.LiveQuery[ankurah.Record]) string {
		var out []string
		for _, r := range q.Rows() {
			out = append(out, r.Fields()["name"].(string))
		}
		return strings.Join(out, ", ")
	}
	var queries []*ankurah.LiveQuery[ankurah.Record]
	for _, text := range []string{"ORDER BY album.name", "album.name IS NULL", "album.name = 'a'"} {
		q, err := ankurah.Dynamic("song").Query(t.Context(), phone.Session, text)
		if err == nil {
			err = q.WaitSynced(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		queries = append(queries, q)
	}
	for round := range 4 {
		want := []string{"of a, of b", "", "of a"}
		if round%2 == 1 {
			want = []string{"of b, of a", "of a", ""}
		}
		c.Settle()
		for k, q := range queries {
			within(t, fmt.Sprintf("round %d: query %d has %q", round, k, want[k]), func() bool { return names(q) == want[k] })
		}
		on.Store(round%2 == 0)
		c.Server().Invalidate()
	}
}
