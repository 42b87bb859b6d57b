package main

import (
	"context"
	"errors"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/goapp"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/indexeddb"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/wsclient"
)

// db is the page's node. What it holds is in the browser's database and there
// at once when the page is loaded again, also without a server.
var db = goapp.Open(func(ctx context.Context) (*ankurah.Session, error) {
	engine, err := openEngine(ctx)
	if err != nil {
		return nil, err
	}
	node, err := ankurah.OpenNode(ctx, engine, nil)
	if err != nil {
		return nil, err
	}
	if _, err := wsclient.Dial(node, "/ankurah", &wsclient.Options{MaxBackoff: 2 * time.Second}); err != nil {
		return nil, err
	}
	if err := node.WaitReady(ctx); err != nil {
		return nil, err
	}
	return node.Session(policy.Principal{}), nil
})

// openEngine opens the browser's database, which one tab can have. Another one
// works in memory, with what the server has. A page that is loaded again may
// still find the one before it.
func openEngine(ctx context.Context) (storage.Engine, error) {
	var engine *indexeddb.Engine
	var err error
	for range 5 {
		if engine, err = indexeddb.Open(ctx, "todo", nil); !errors.Is(err, storage.ErrLocked) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	switch {
	case errors.Is(err, storage.ErrLocked):
		kept.Set(false)
		return memory.New(), nil
	case err != nil:
		return nil, err
	}
	return engine, nil
}

func serve() {}
