package ankurah_test

import (
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest"
)

// S54: a window grows in place, by one change set, here and on clients; a
// cursor's page does not move when rows come before it.
func TestLoadMore(t *testing.T) {
	c := ankurahtest.New(t, nil)
	s := c.Session("alice")
	for year := range 40 {
		create(t, s, ankurah.Fields{"name": "x", "year": 100 + year})
	}
	for _, as := range []*ankurah.Session{s, c.Client("phone").Session} {
		q, err := albums.Query(t.Context(), as, "ORDER BY year LIMIT 5")
		if err == nil {
			err = q.WaitSynced(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		sets := make(chan ankurah.ChangeSet[ankurah.Record], 10)
		q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) { sets <- cs })
		<-sets
		for want := 12; want <= 26; want += 7 {
			if err := q.LoadMore(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			c.Settle()
			within(t, "the rows are there", func() bool { return len(q.Rows()) == want && q.Synced() })
			n := 0
			for n < 7 {
				n += len(slices.Collect((<-sets).Added()))
			}
			if n != 7 {
				t.Errorf("%d rows came", n)
			}
		}
		if err := q.LoadMore(t.Context(), -1); err == nil {
			t.Error("a window shrinks")
		}
		last := q.Rows()[25]
		create(t, s, ankurah.Fields{"name": "earlier", "year": 1})
		page, err := albums.Fetch(t.Context(), s, "ORDER BY year LIMIT 3 AFTER ?", q.Cursor(last))
		if err != nil || len(page) != 3 || page[0].Fields()["year"] != int64(126) {
			t.Errorf("the next page begins with %v, %v", page, err)
		}
		err = s.Update(t.Context(), func(tx *ankurah.Tx) error {
			rows, err := albums.Fetch(t.Context(), tx, "name = 'earlier'")
			if err != nil {
				return err
			}
			return albums.Delete(tx, rows[0])
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Settle()
	}
}

// Node.LiveQueries says what is open, for whom, and how it is found.
func TestLiveQueriesAreListed(t *testing.T) {
	c := ankurahtest.New(t, nil)
	s := c.Session("alice")
	one := create(t, s, ankurah.Fields{"name": "a", "year": 1})
	for text, as := range map[string]*ankurah.Session{
		"name = 'a' AND year > 0": s,
		"name LIKE '%a'":          c.Client("phone").Session,
		"name = 'b' OR year = 7":  c.Client("desk").Session,
	} {
		q, err := albums.Query(t.Context(), as, text)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
	}
	c.Settle()
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, one)
		if err != nil {
			return err
		}
		return e.Set("year", 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, x := range c.Server().LiveQueries() {
		switch x.Subject {
		case "alice":
			found++
			if x.Remote || x.Route != "name by value" || x.Rows != 1 || x.Touched != 1 || x.Changed.IsZero() || x.Shape != "name = ? AND year > ?" {
				t.Errorf("%+v", x)
			}
		case "phone":
			found++
			if !x.Remote || x.Route != "name by presence" || x.Shared != 1 || x.Offered != 1 {
				t.Errorf("%+v", x)
			}
		case "desk":
			found++
			if x.Route != "name by value, year by value" || x.Offered != 0 || !x.Changed.IsZero() || x.Rows != 0 {
				t.Errorf("%+v", x)
			}
		}
	}
	if st := c.Server().Stats(); found != 3 || st.Residual != 1 || st.LiveQueries != 3 {
		t.Errorf("%d queries of three are listed, %+v", found, st)
	}
}
