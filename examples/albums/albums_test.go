package albums_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/albums/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// open returns a session on a new node that holds nothing, and what closes the
// node.
func open(ctx context.Context) (*ankurah.Session, func()) {
	eng := memory.New()
	node, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	check(err)
	check(node.EnsureSystem(ctx))
	return node.Session(policy.Principal{Subject: "alice"}), func() {
		check(node.Close())
		check(eng.Close())
	}
}

// openMuse is open with an artist and three albums.
func openMuse(ctx context.Context) (*ankurah.Session, func()) {
	s, done := open(ctx)
	check(s.Update(ctx, func(tx *ankurah.Tx) error {
		muse, err := model.Artists.Create(tx, &model.Artist{Name: "Muse"})
		if err != nil {
			return err
		}
		_, err = model.Albums.CreateMany(tx, []*model.Album{
			{Name: "Showbiz", Artist: muse.Ref(), Year: 1999},
			{Name: "Origin of Symmetry", Artist: muse.Ref(), Year: 2001},
			{Name: "Absolution", Artist: muse.Ref(), Year: 2003},
		})
		return err
	}))
	return s, done
}

// check keeps the examples short. A program handles its errors.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// A transaction makes an artist and an album that refers to it. The artist's
// ID is known before anything is stored, and others see both or neither.
func Example_create() {
	ctx := context.Background()
	s, done := open(ctx)
	defer done()

	var ref ankurah.Ref[model.Album]
	err := s.Update(ctx, func(tx *ankurah.Tx) error {
		muse, err := model.Artists.Create(tx, &model.Artist{Name: "Muse"})
		if err != nil {
			return err
		}
		label := "Mushroom"
		album, err := model.Albums.Create(tx, &model.Album{
			Name:   "Showbiz",
			Artist: muse.Ref(),
			Year:   1999,
			Tags:   []string{"rock", "debut"},
			Extra:  ankurah.MustJSON(map[string]any{"tracks": 12}),
			Label:  &label,
		})
		if err != nil {
			return err
		}
		ref = album.Ref()
		return nil
	})
	check(err)

	album, err := model.Albums.Get(ctx, s, ref)
	check(err)
	fmt.Println(album.Name(), album.Year(), album.Tags(), album.Extra())
	if label, ok := album.Label(); ok {
		fmt.Println("on", label)
	}
	// Output:
	// Showbiz 1999 [rock debut] {"tracks":12}
	// on Mushroom
}

// An error leaves nothing behind.
func Example_rollback() {
	ctx := context.Background()
	s, done := open(ctx)
	defer done()

	err := s.Update(ctx, func(tx *ankurah.Tx) error {
		if _, err := model.Artists.Create(tx, &model.Artist{Name: "Muse"}); err != nil {
			return err
		}
		n, err := model.Artists.Count(ctx, tx, "")
		if err != nil {
			return err
		}
		fmt.Println("inside:", n)
		return errors.New("changed my mind")
	})
	fmt.Println(err)
	n, err := model.Artists.Count(ctx, s, "")
	check(err)
	fmt.Println("afterwards:", n)
	// Output:
	// inside: 1
	// changed my mind
	// afterwards: 0
}

// Views never change: the one from before the edit still shows what it showed.
func Example_edit() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	before, err := model.Albums.First(ctx, s, "name = ?", "Showbiz")
	check(err)
	err = s.Update(ctx, func(tx *ankurah.Tx) error {
		m, err := model.Albums.Edit(tx, before)
		if err != nil {
			return err
		}
		if err := m.Label.Set("Mushroom"); err != nil {
			return err
		}
		return m.Year.Set(m.Year.Get() + 1)
	})
	check(err)

	after, err := model.Albums.Get(ctx, s, before)
	check(err)
	fmt.Println(before.Year(), after.Year(), before.ID() == after.ID(), before.Equal(after))
	// Output:
	// 1999 2000 true false
}

// Concurrent edits merge. Where an edit is only right for what it was made
// upon, Require turns a merge into a conflict.
func Example_conflict() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	// rename gives the album that seen shows another name, if nobody has
	// touched it since.
	rename := func(seen model.AlbumView, name string) error {
		return s.Update(ctx, func(tx *ankurah.Tx) error {
			tx.Require(seen)
			m, err := model.Albums.Edit(tx, seen)
			if err != nil {
				return err
			}
			return m.Name.Set(name)
		})
	}
	seen, err := model.Albums.First(ctx, s, "year = ?", 2003)
	check(err)
	check(rename(seen, "Absolution (remastered)"))

	err = rename(seen, "Absolution XX")
	fmt.Println("conflict:", errors.Is(err, ankurah.ErrConflict))

	seen, err = model.Albums.Get(ctx, s, seen)
	check(err)
	fmt.Println("is now:", seen.Name())
	check(rename(seen, "Absolution XX"))
	// Output:
	// conflict: true
	// is now: Absolution (remastered)
}

// Fetch returns rows, Count their number, and All streams them.
func Example_fetch() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	rows, err := model.Albums.Fetch(ctx, s, "name LIKE ? AND year > ?", "Origin%", 2000)
	check(err)
	for _, album := range rows {
		fmt.Println(album.Name())
	}

	n, err := model.Albums.Count(ctx, s, "artist = ?", rows[0].Artist())
	check(err)
	fmt.Println("albums of the same artist:", n)

	for album, err := range model.Albums.All(ctx, s, "ORDER BY year DESC") {
		check(err)
		fmt.Println(album.Year(), album.Name())
	}
	// Output:
	// Origin of Symmetry
	// albums of the same artist: 3
	// 2003 Absolution
	// 2001 Origin of Symmetry
	// 1999 Showbiz
}

// A live query has its rows at once and follows every commit. The callback
// runs on a goroutine of the node; here a channel brings its change sets back.
func Example_liveQuery() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	q, err := model.Albums.Query(ctx, s, "year > ? ORDER BY year", 2000)
	check(err)
	defer q.Close()
	sets := make(chan ankurah.ChangeSet[model.AlbumView])
	defer q.OnChange(func(cs ankurah.ChangeSet[model.AlbumView]) { sets <- cs })()
	show := func() {
		for _, c := range (<-sets).Changes {
			if c.Kind == ankurah.Removed {
				fmt.Println(c.Kind, c.Before.Name())
				continue
			}
			fmt.Println(c.Kind, c.After.Name(), c.After.Year())
		}
	}
	show()

	var album *model.AlbumMutable
	check(s.Update(ctx, func(tx *ankurah.Tx) (err error) {
		album, err = model.Albums.Create(tx, &model.Album{Name: "Drones", Year: 2014})
		return err
	}))
	show()

	setYear := func(year int32) {
		check(s.Update(ctx, func(tx *ankurah.Tx) error {
			m, err := model.Albums.Edit(tx, album)
			if err != nil {
				return err
			}
			return m.Year.Set(year)
		}))
	}
	setYear(2015) // still matches
	show()
	setYear(1915) // no longer
	show()
	fmt.Println(len(q.Rows()), "rows")
	// Output:
	// initial Origin of Symmetry 2001
	// initial Absolution 2003
	// added Drones 2014
	// updated Drones 2015
	// removed Drones
	// 2 rows
}

// AFTER continues an ordered result behind the place that a row had, whatever
// became of the row.
func Example_nextPage() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	q, err := model.Albums.Query(ctx, s, "year > ? ORDER BY name LIMIT 2", 1985)
	check(err)
	defer q.Close()
	page := q.Rows()
	for _, album := range page {
		fmt.Println(album.Name())
	}

	last := q.Cursor(page[len(page)-1])
	page, err = model.Albums.Fetch(ctx, s, "year > ? ORDER BY name LIMIT 2 AFTER ?", 1985, last)
	check(err)
	fmt.Println("next page")
	for _, album := range page {
		fmt.Println(album.Name())
	}
	// Output:
	// Absolution
	// Origin of Symmetry
	// next page
	// Showbiz
}

// A reference knows the model that it refers to.
func Example_resolve() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	album, err := model.Albums.First(ctx, s, "name = ?", "Showbiz")
	check(err)
	artist, err := model.Artists.Resolve(ctx, s, album.Artist())
	check(err)
	fmt.Println(album.Name(), "by", artist.Name())
	// Output:
	// Showbiz by Muse
}

// A deleted entity leaves every query, and its history stays: Restore brings
// it back.
func Example_delete() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	q, err := model.Albums.Query(ctx, s, "year < ?", 2000)
	check(err)
	defer q.Close()
	gone := make(chan string)
	defer q.OnChange(func(cs ankurah.ChangeSet[model.AlbumView]) {
		for c := range cs.Removed() {
			gone <- c.Before.Name()
		}
	})()

	album := q.Rows()[0]
	check(s.Update(ctx, func(tx *ankurah.Tx) error { return model.Albums.Delete(tx, album) }))
	fmt.Println("removed:", <-gone)
	_, err = model.Albums.Get(ctx, s, album)
	fmt.Println("not found:", errors.Is(err, ankurah.ErrNotFound))

	check(s.Update(ctx, func(tx *ankurah.Tx) error { return model.Albums.Restore(tx, album) }))
	album, err = model.Albums.Get(ctx, s, album)
	check(err)
	fmt.Println("restored:", album.Name(), album.Year())
	// Output:
	// removed: Showbiz
	// not found: true
	// restored: Showbiz 1999
}

// The events of an entity are its audit trail: who changed what, from what and
// to what, even of one that is deleted.
func Example_history() {
	ctx := context.Background()
	s, done := openMuse(ctx)
	defer done()

	bob := s.Node().Session(policy.Principal{Subject: "bob"})
	muse, err := model.Artists.First(ctx, s, "name = ?", "Muse")
	check(err)
	check(bob.Update(ctx, func(tx *ankurah.Tx) error {
		m, err := model.Artists.Edit(tx, muse)
		if err != nil {
			return err
		}
		return m.Name.Set("MUSE")
	}))
	check(s.Update(ctx, func(tx *ankurah.Tx) error { return model.Artists.Delete(tx, muse) }))

	for ev, err := range model.Artists.History(ctx, s, muse) {
		check(err)
		fmt.Println(ev.Actor, ev.Kind)
		for _, c := range ev.Changes {
			fmt.Printf("  %s: %v -> %v\n", c.Key, c.Before, c.After)
		}
	}
	// Output:
	// alice created
	//   name: <nil> -> Muse
	// bob edited
	//   name: Muse -> MUSE
	// alice deleted
}
