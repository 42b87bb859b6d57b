package ankurah_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

func ExampleCollection_QueryAggregate() {
	ctx := context.Background()
	eng := memory.New()
	defer eng.Close()
	node, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	if err := node.EnsureSystem(ctx); err != nil {
		log.Fatal(err)
	}
	s := node.Session(policy.Principal{})
	albums := ankurah.Dynamic("album")
	add := func(artist string, year int) {
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			_, err := albums.Create(tx, &ankurah.Fields{"artist": artist, "year": year})
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	add("Muse", 2001)
	top, err := albums.QueryAggregate(ctx, s, "SELECT COUNT(*), AVG(year) GROUP BY artist ORDER BY COUNT(*) DESC LIMIT 10")
	if err != nil {
		log.Fatal(err)
	}
	defer top.Close()
	add("Prince", 1984)
	add("Prince", 1987)
	for _, g := range top.Rows() {
		var artist string
		var n int
		var year *float64 // nil where no album has a year
		if err := g.Scan(&artist, &n, &year); err != nil {
			log.Fatal(err)
		}
		fmt.Println(artist, n, *year)
	}
	// Output:
	// Prince 2 1985.5
	// Muse 1 2001
}
