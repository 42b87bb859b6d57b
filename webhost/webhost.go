//go:build js

package webhost

import (
	"context"
	"syscall"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/indexeddb"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport"
)

// databaseVariable is the environment variable with the name of the database.
// It is empty when the program is to work in memory.
const databaseVariable = "ANKURAH_DATABASE"

// Accept serves the connection of a page until it ends, closes it, and returns
// why it ended: transport.Acceptor's, as a function, so that a page's program
// does not link what accepts connections elsewhere.
type Accept func(ctx context.Context, c transport.Conn) error

// Run opens the engine that the program is to work on, calls start with it, and
// serves pages with what that returns. It returns an error when there is no
// engine or start fails, of which the pages hear too; else never.
func Run(start func(ctx context.Context, engine storage.Engine) (Accept, error)) error {
	ctx := context.Background()
	accept, err := begin(ctx, start)
	if err != nil {
		failed(err.Error())
		return err
	}
	serve = func(c *conn) { c.over(accept(ctx, c)) }
	ready()
	select {}
}

// serve serves a page. It is set before JavaScript is told that pages may come.
var serve func(c *conn)

func begin(ctx context.Context, start func(context.Context, storage.Engine) (Accept, error)) (Accept, error) {
	database, _ := syscall.Getenv(databaseVariable) // package os comes with files
	engine, err := open(ctx, database)
	if err != nil {
		return nil, err
	}
	return start(ctx, engine)
}

func open(ctx context.Context, database string) (storage.Engine, error) {
	if database == "" {
		return memory.New(), nil
	}
	e, err := indexeddb.Open(ctx, database, &indexeddb.Options{Wait: true})
	if err != nil {
		return nil, err
	}
	return e, nil
}
