// Command nodeserver is the server of the tests of web/worker: nodeserver
// FOLDER ADDRESS serves the store in the folder, prints where, and ends with
// its standard input.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

func main() {
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(folder, address string) error {
	ctx := context.Background()
	engine, err := pebble.Open(ctx, folder, nil)
	if err != nil {
		return err
	}
	defer engine.Close()
	node, err := ankurah.OpenNode(ctx, engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return err
	}
	defer node.Close()
	if err := node.EnsureSystem(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() { _ = http.Serve(l, wsserver.NewHandler(node, &wsserver.Options{Origins: []string{"*"}})) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
