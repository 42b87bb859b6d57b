package ankurah_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest"
	"github.com/ankurah/ankurah-go/policy"
)

// What columns of aggregates read: the song itself, or what it refers to.
var (
	ofSong   = func(s seen) *ankurah.Record { return s.song }
	ofAlbum  = func(s seen) *ankurah.Record { return s.album }
	ofArtist = func(s seen) *ankurah.Record { return s.artist }
	ofMentor = func(s seen) *ankurah.Record { return s.mentor }
)

// refColumn is a column of an aggregate's result, spelled out.
type refColumn struct {
	of  func(s seen) *ankurah.Record
	key string // "" is the ID
	f   string // "" is a field of GROUP BY
}

func (c refColumn) get(s seen) any {
	r := c.of(s)
	if r == nil {
		return nil
	}
	if c.key == "" {
		return r.ID()
	}
	v, _ := r.Get(c.key)
	return v
}

// value is the column over the songs of a group.
func (c refColumn) value(rows []seen) any {
	if c.f == "" {
		return c.get(rows[0])
	}
	if c.f == "*" {
		return int64(len(rows))
	}
	var have []any
	sum := int64(0)
	for _, s := range rows {
		if v := c.get(s); v != nil {
			have = append(have, v)
			n, _ := v.(int32)
			sum += int64(n)
		}
	}
	if c.f == "COUNT" {
		return int64(len(have))
	}
	if len(have) == 0 {
		return nil
	}
	compare := func(a, b any) int {
		if s, is := a.(string); is {
			return strings.Compare(s, b.(string))
		}
		return cmp.Compare(a.(int32), b.(int32))
	}
	switch c.f {
	case "MIN":
		return slices.MinFunc(have, compare)
	case "MAX":
		return slices.MaxFunc(have, compare)
	case "SUM":
		return sum
	}
	return float64(sum) / float64(len(have))
}

// refAggregates are aggregate selections with what they mean.
var refAggregates = []struct {
	text    string
	match   func(s seen, k int) bool
	columns []refColumn
}{
	{"SELECT COUNT(*), SUM(n) GROUP BY album.name", func(seen, int) bool { return true },
		[]refColumn{{ofAlbum, "name", ""}, {f: "*"}, {ofSong, "n", "SUM"}}},
	{"SELECT COUNT(*), MAX(album.n), MIN(album.artist.name) WHERE album.artist.n < :k",
		func(s seen, k int) bool { n, ok := number(s.artist); return ok && n < k },
		[]refColumn{{f: "*"}, {ofAlbum, "n", "MAX"}, {ofArtist, "name", "MIN"}}},
	{"SELECT SUM(album.artist.mentor.n), AVG(album.n) WHERE n >= 2 GROUP BY name, album.artist.name",
		func(s seen, k int) bool { n, ok := number(s.song); return ok && n >= 2 },
		[]refColumn{{ofSong, "name", ""}, {ofArtist, "name", ""}, {ofMentor, "n", "SUM"}, {ofAlbum, "n", "AVG"}}},
	{"SELECT COUNT(album.artist.mentor.name) WHERE album.name = :name OR n < :k GROUP BY album.artist.id",
		func(s seen, k int) bool {
			x, ok := text(s.album)
			n, there := number(s.song)
			return ok && x == letter(k) || there && n < k
		},
		[]refColumn{{ofArtist, "", ""}, {ofMentor, "name", "COUNT"}}},
	{"SELECT COUNT(*), COUNT(album.id) WHERE album.artist.name IS NULL",
		func(s seen, k int) bool { _, ok := text(s.artist); return !ok },
		[]refColumn{{f: "*"}, {ofAlbum, "", "COUNT"}}},
}

// expectedGroups answers aggregate k, in any order.
func expectedGroups(t testing.TB, s ankurah.Reader, k, arg int) []string {
	q := refAggregates[k]
	groups := map[string][]seen{}
	grouped := q.columns[0].f == ""
	for _, x := range allSeen(t, s) {
		if !q.match(x, arg) {
			continue
		}
		var key []any
		for _, c := range q.columns {
			if c.f == "" {
				key = append(key, c.get(x))
			}
		}
		groups[fmt.Sprint(key)] = append(groups[fmt.Sprint(key)], x)
	}
	if !grouped && len(groups) == 0 {
		groups[""] = nil
	}
	var out []string
	for _, rows := range groups {
		var values []any
		for _, c := range q.columns {
			values = append(values, c.value(rows))
		}
		out = append(out, fmt.Sprint(values))
	}
	slices.Sort(out)
	return out
}

func groupTexts(groups []ankurah.Group) []string {
	out := make([]string, len(groups))
	for k, g := range groups {
		out[k] = fmt.Sprint(g.Values())
	}
	slices.Sort(out)
	return out
}

type refAggregate struct {
	k, arg int
	watchedAggregate
}

func watchRefAggregates(t testing.TB, s *ankurah.Session, arg func() int) (out []*refAggregate) {
	t.Helper()
	for k, q := range refAggregates {
		w := &refAggregate{k: k, arg: arg()}
		w.text = q.text
		for _, a := range refArgs(w.arg) {
			if strings.Contains(w.text, ":"+a.(ankql.Named).Name) {
				w.args = append(w.args, a)
			}
		}
		live, err := ankurah.Dynamic("song").QueryAggregate(t.Context(), s, w.text, w.args...)
		if err != nil {
			t.Fatalf("%s: %v", w.text, err)
		}
		t.Cleanup(live.Close)
		w.q, w.sets = live, make(chan []ankurah.GroupChange, 10_000)
		live.OnChange(func(changes []ankurah.GroupChange) { w.sets <- changes })
		out = append(out, w)
	}
	return out
}

// differs says how the live groups, and those that Aggregate returns to s, are
// not what reader's rows lead to.
func (w *refAggregate) differs(t testing.TB, s, reader ankurah.Reader) string {
	want := expectedGroups(t, reader, w.k, w.arg)
	if got := groupTexts(w.q.Rows()); !slices.Equal(got, want) {
		return fmt.Sprintf("%s %v: live groups\n%q, want\n%q", w.text, w.args, got, want)
	}
	groups, err := ankurah.Dynamic("song").Aggregate(t.Context(), s, w.text, w.args...)
	if got := groupTexts(groups); err != nil || !slices.Equal(got, want) {
		return fmt.Sprintf("%s %v: groups\n%q, %v, want\n%q", w.text, w.args, got, err, want)
	}
	return ""
}

// S44, S52: aggregates through references are what following them by hand
// gives, asked for and live after every commit, whichever side it changes.
func TestAggregatesThroughReferences(t *testing.T) {
	for name, open := range oracleEngines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(max(2, *oracleRounds/3)) {
				eng := open(t)
				n := openNode(t, eng, &ankurah.NodeOptions{Policy: policy.Permissive{}, Models: refModels})
				w := &refWorld{t: t, r: rand.New(rand.NewPCG(seed, 45)), s: n.Session(alice), ids: map[string][]ankurah.ID{}}
				for range 20 {
					w.commit()
				}
				arg := func() int { return w.r.IntN(5) }
				live := append(watchRefAggregates(t, w.s, arg), watchRefAggregates(t, w.s, arg)...)
				for range 60 {
					w.commit()
					for _, q := range live {
						if diff := settled(eng, func() string { return q.differs(t, w.s, w.s) }); diff != "" {
							t.Fatalf("seed %d: %s", seed, diff)
						}
					}
				}
				for _, q := range live {
					for !sameGroups(q.folded, q.q.Rows(), false) {
						select {
						case set := <-q.sets:
							q.fold(t, set)
						case <-time.After(patience):
							t.Fatalf("%s: folded %v, rows %v", q.text, said(q.folded), said(q.q.Rows()))
						}
					}
				}
				if got := n.Stats().LiveQueries; got != len(live) {
					t.Errorf("%d live queries are counted, there are %d", got, len(live))
				}
			}
		})
	}
}

// S38, S60: what lies behind a reference to what may not be read is NULL to
// aggregates too, on clients as on the server; clients' own edits of rows count at
// once, offline too.
func TestAggregatesThroughReferencesOnClients(t *testing.T) {
	for seed := range uint64(3) {
		c := ankurahtest.New(t, &ankurahtest.Options{
			Server: ankurah.NodeOptions{Policy: hiddenRefs(t), Models: refModels}, Client: ankurah.NodeOptions{Models: refModels},
		})
		w := &refWorld{t: t, r: rand.New(rand.NewPCG(seed, 61)), s: c.Server().Session(policy.Principal{Subject: "root", Roles: []string{"all"}}), ids: map[string][]ankurah.ID{}}
		for range 20 {
			w.commit()
		}
		arg := func() int { return w.r.IntN(5) }
		reader, phone := c.Server().Session(policy.Principal{Subject: "phone"}), c.Client("phone")
		onServer, onPhone := watchRefAggregates(t, reader, arg), watchRefAggregates(t, phone.Session, arg)
		for step := range 25 {
			w.commit()
			if step%5 == 4 {
				c.Cut(phone)
				own := *w
				own.s, own.songs = phone.Session, true
				own.commit()
				for _, q := range onPhone {
					if diff := q.differs(t, phone.Session.Local(), phone.Session.Local()); diff != "" {
						t.Fatalf("seed %d: offline: %s", seed, diff)
					}
				}
				c.Heal(phone)
			}
			c.Settle()
			for _, q := range onServer {
				if diff := q.differs(t, reader, reader); diff != "" {
					t.Fatalf("seed %d: on the server: %s", seed, diff)
				}
			}
			for _, q := range onPhone {
				if err := q.q.WaitSynced(t.Context()); err != nil {
					t.Fatal(err)
				}
				if diff := q.differs(t, phone.Session, reader); diff != "" {
					t.Fatalf("seed %d step %d: on the client: %s\n local %v", seed, step, diff, q.differs(t, phone.Session.Local(), phone.Session.Local()))
				}
			}
		}
	}
}
