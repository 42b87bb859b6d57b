// Server is the durable node that the tests of the TypeScript packages connect
// to. It prints its address, and ends when its input does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/gen/testdata/golden/typescript"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/port"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// polite refuses titles that say "spam".
type polite struct{}

func (polite) Check(_ context.Context, _, after *entity.State) error {
	if after.Value("title").Text() == "spam" {
		return errors.New("no spam")
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx := context.Background()
	node, err := ankurah.OpenNode(ctx, memory.New(), &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Constraints: []policy.Constraint{polite{}}, Models: []ankurah.AnyCollection{typescript.Artists, typescript.Labels, typescript.Albums}})
	if err != nil {
		return err
	}
	if err := node.EnsureSystem(ctx); err != nil {
		return err
	}
	if err := fill(ctx, node); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(l, wsserver.NewHandler(port.NewServer(node, &port.Options{LeastAppVersion: 2}), &wsserver.Options{Origins: []string{"*"}}))
}

// fill makes an album as Go makes it that says nothing but a name, and one as
// an older program made it, which knew of nothing but names.
func fill(ctx context.Context, node *ankurah.Node) error {
	return node.Session(policy.Principal{Subject: "server"}).Update(ctx, func(tx *ankurah.Tx) error {
		if _, err := typescript.Albums.Create(tx, &typescript.Album{Name: "of Go", Genre: "pop"}); err != nil {
			return err
		}
		_, err := ankurah.Dynamic("album").Create(tx, &ankurah.Fields{"title": "old"})
		return err
	})
}
