//go:build js

// Command testhost is the program that the tests of web/worker run: it sends
// frames back, except for a few that ask for something.
package main

import (
	"context"
	"encoding/binary"
	"strconv"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/webhost"
)

var counter = []byte("counter")

type host struct {
	engine storage.Engine
	pages  int
}

func main() {
	_ = webhost.Run(func(_ context.Context, engine storage.Engine) (webhost.Accept, error) {
		return (&host{engine: engine}).accept, nil
	})
}

func (h *host) accept(ctx context.Context, c transport.Conn) error {
	h.pages++
	defer func() { h.pages-- }()
	for {
		f, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		switch string(f) {
		case "panic":
			go panic("as asked")
			continue
		case "over":
			return transport.ErrFrameSize
		case "pages":
			f = strconv.AppendInt(nil, int64(h.pages), 10)
		case "count":
			if f, err = h.count(ctx); err != nil {
				return err
			}
		}
		if err := c.Send(ctx, f); err != nil {
			return err
		}
	}
}

// count counts up in the store, and returns when that is durable.
func (h *host) count(ctx context.Context) ([]byte, error) {
	snap, err := h.engine.Snapshot()
	if err != nil {
		return nil, err
	}
	old, _, err := snap.Meta(ctx, counter)
	if err != nil {
		return nil, err
	}
	if err := snap.Close(); err != nil {
		return nil, err
	}
	n, _ := binary.Uvarint(old)
	n++
	write := storage.MetaWrite{Key: counter, Value: binary.AppendUvarint(nil, n)}
	if _, err := h.engine.Commit(ctx, &storage.Batch{Meta: []storage.MetaWrite{write}}); err != nil {
		return nil, err
	}
	if f, ok := h.engine.(storage.Flusher); ok {
		if err := f.Flush(ctx); err != nil {
			return nil, err
		}
	}
	return strconv.AppendUint(nil, n, 10), nil
}
