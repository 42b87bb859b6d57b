package offline_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/albums/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
)

// A client meets its server once, works without it, is restarted, and sends
// what was done when the server is there again. One edit the server refuses.
func Example() {
	ctx := context.Background()
	rules, err := policy.Rules{
		Credentials: policy.Permissive{}.Authenticate,
		Collections: map[string][]policy.Rule{"album": {{Read: "TRUE", Write: "year IS NULL OR year >= 1900"}}},
	}.Agent()
	check(err)
	server, err := ankurah.OpenNode(ctx, memory.New(), &ankurah.NodeOptions{Durable: true, Policy: rules})
	check(err)
	defer server.Close()
	check(server.EnsureSystem(ctx))

	alice := policy.Principal{Subject: "alice"}
	store := memory.New() // pebble.Open(ctx, "./phone", nil) outlives the process
	phone, err := ankurah.OpenNode(ctx, store, nil)
	check(err)
	link := local.Dial(phone, server, []byte("alice"))
	check(phone.WaitReady(ctx))
	var id ankurah.ID
	check(phone.Session(alice).UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
		a, err := model.Albums.Create(tx, &model.Album{Name: "Showbiz", Year: 1999})
		id = a.ID()
		return err
	}))
	link.Close()

	// The server is away.
	year := func(s *ankurah.Session, y int32) error {
		return s.Update(ctx, func(tx *ankurah.Tx) error {
			a, err := model.Albums.Edit(tx, id)
			if err != nil {
				return err
			}
			return a.Year.Set(y)
		})
	}
	check(year(phone.Session(alice), 2000))
	check(phone.Close())
	phone, err = ankurah.OpenNode(ctx, store, nil)
	check(err)
	defer phone.Close()
	s := phone.Session(alice)
	check(s.Update(ctx, func(tx *ankurah.Tx) error {
		_, err := model.Albums.Create(tx, &model.Album{Name: "Too old", Year: 1066})
		return err
	}))
	print(ctx, "offline", s)
	fmt.Println(phone.Pending(), "transactions wait")

	// The server is there again.
	link = local.Dial(phone, server, []byte("alice"))
	defer link.Close()
	check(link.WaitConnected(ctx))
	check(phone.Settle(ctx))
	print(ctx, "again", s)
	print(ctx, "on the server", server.Session(alice))
	for r, err := range phone.Rejected(ctx) {
		check(err)
		for _, c := range r.Entities[0].Events[0].Changes {
			if c.Key == model.AlbumFieldName {
				fmt.Println("refused:", c.After, "denied:", errors.Is(r.Reason, ankurah.ErrDenied))
			}
		}
		check(r.Discard(ctx))
	}
	// Output:
	// offline: Showbiz 2000, Too old 1066,
	// 2 transactions wait
	// again: Showbiz 2000,
	// on the server: Showbiz 2000,
	// refused: Too old denied: true
}

func print(ctx context.Context, what string, s *ankurah.Session) {
	fmt.Print(what, ":")
	for a, err := range model.Albums.All(ctx, s, "ORDER BY name") {
		check(err)
		fmt.Print(" ", a.Name(), " ", a.Year(), ",")
	}
	fmt.Println()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
