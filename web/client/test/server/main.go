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
	node, err := ankurah.OpenNode(ctx, memory.New(), &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Constraints: []policy.Constraint{polite{}}})
	if err != nil {
		return err
	}
	if err := node.EnsureSystem(ctx); err != nil {
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
