package internode_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/albums/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// A server and a client over a WebSocket: the client subscribes, the server
// edits, the client sees what happened.
func Example() {
	ctx := context.Background()
	server, err := ankurah.OpenNode(ctx, memory.New(), &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	check(err)
	defer server.Close()
	check(server.EnsureSystem(ctx))
	web := httptest.NewServer(wsserver.NewHandler(server, nil))
	defer web.Close()

	client, err := ankurah.OpenNode(ctx, memory.New(), nil)
	check(err)
	defer client.Close()
	conn, err := wsclient.Dial(client, web.URL, &wsclient.Options{Credential: []byte("alice")})
	check(err)
	defer conn.Close()
	check(client.WaitReady(ctx))

	alice := policy.Principal{Subject: "alice"}
	q, err := model.Albums.Query(ctx, client.Session(alice), "year > ? ORDER BY name", 2000)
	check(err)
	check(q.WaitSynced(ctx))
	seen := make(chan string)
	q.OnChange(func(cs ankurah.ChangeSet[model.AlbumView]) {
		for _, c := range cs.Changes {
			seen <- fmt.Sprint(c.Kind, " ", c.Row().Name(), " ", c.Row().Year())
		}
	})

	on := server.Session(alice)
	var id ankurah.ID
	check(on.Update(ctx, func(tx *ankurah.Tx) error {
		a, err := model.Albums.Create(tx, &model.Album{Name: "Origin of Symmetry", Year: 2001})
		id = a.ID()
		return err
	}))
	fmt.Println(<-seen)
	check(on.Update(ctx, func(tx *ankurah.Tx) error {
		a, err := model.Albums.Edit(tx, id)
		if err != nil {
			return err
		}
		return a.Year.Set(2002)
	}))
	fmt.Println(<-seen)
	check(on.Update(ctx, func(tx *ankurah.Tx) error { return model.Albums.Delete(tx, id) }))
	fmt.Println(<-seen)
	q.Close()
	// Output:
	// added Origin of Symmetry 2001
	// updated Origin of Symmetry 2002
	// removed Origin of Symmetry 2002
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
