package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// receivers are connections that count the frames they get.
type receivers struct {
	conns []*websocket.Conn
	got   chan struct{}
	frame []byte // the last one of the first connection
}

func (r *receivers) dial(ctx context.Context, url string, greet func(ctx context.Context, c *websocket.Conn) error) error {
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{wsserver.Subprotocol}})
	if err != nil {
		return err
	}
	c.SetReadLimit(wire.MaxFrame)
	r.conns = append(r.conns, c)
	return greet(ctx, c)
}

// read reads on every connection until it is closed.
func (r *receivers) read(ctx context.Context) {
	for k, c := range r.conns {
		go func() {
			for {
				_, b, err := c.Read(ctx)
				if err != nil {
					return
				}
				if k == 0 {
					r.frame = b
				}
				r.got <- struct{}{}
			}
		}()
	}
}

func (r *receivers) wait() {
	for range r.conns {
		<-r.got
	}
}

func (r *receivers) close() {
	for _, c := range r.conns {
		c.CloseNow()
	}
}

// greet says Hello and subscribes as the k-th client does, and waits for the
// rows.
func greet(ctx context.Context, c *websocket.Conn, k uint64, text string) error {
	hello := &wire.Hello{Min: wire.MinVersion, Max: wire.MaxVersion, Node: nodeOf(k), Incarnation: id.New(1, [8]byte{2}), Now: 1, Credential: []byte("bench")}
	query := &wire.Query{ID: 1, Collection: "city", Text: text, Live: true}
	for _, m := range []wire.Message{hello, query} {
		if err := c.Write(ctx, websocket.MessageBinary, wire.Append(nil, m)); err != nil {
			return err
		}
	}
	for {
		_, b, err := c.Read(ctx)
		if err != nil {
			return err
		}
		m, err := wire.Decode(b)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Rows:
			if m.Done {
				return nil
			}
		case *wire.Fail:
			return errors.New(m.Text)
		case *wire.Reject:
			return errors.New(m.Text)
		}
	}
}

// fanout times one commit until a thousand connections have its push, beside a
// bare loop that writes the same bytes to as many.
func fanout(ctx context.Context, runs int) ([]result, error) {
	const subscribers, n = 1000, 50
	srv, err := newServer(ctx)
	if err != nil {
		return nil, err
	}
	one, err := createOne(ctx, srv.s)
	if err != nil {
		return nil, err
	}
	srv.listen()
	ours := &receivers{got: make(chan struct{}, subscribers)}
	for k := range subscribers {
		err := ours.dial(ctx, srv.url, func(ctx context.Context, c *websocket.Conn) error {
			return greet(ctx, c, uint64(k), "name = 'Reykjavik'")
		})
		if err != nil {
			return nil, err
		}
	}
	ours.read(ctx)
	k := 0
	measured, err := repeat(runs, func() (float64, error) {
		return perOp(n, func(int) error {
			k++
			err := setOne(ctx, srv.s, one, k)
			ours.wait()
			return err
		})
	})
	ours.close()
	if err = errors.Join(err, srv.close()); err != nil {
		return nil, err
	}
	theirs, err := bareFanout(ctx, runs, subscribers, n, ours.frame)
	return []result{{name: "subscribers_1000", ours: measured, theirs: theirs, unit: "us", peer: "bare_websocket_loop",
		params: "subscribers:1000,transport:websocket-loopback,bytes:" + itoa(len(ours.frame))}}, err
}

// bareFanout writes a frame to every connection in turn, each from a goroutine
// of its own.
func bareFanout(ctx context.Context, runs, subscribers, n int, frame []byte) ([]float64, error) {
	var mu sync.Mutex
	var conns []*websocket.Conn
	release := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wsserver.Subprotocol}})
		if err != nil {
			return
		}
		mu.Lock()
		conns = append(conns, c)
		mu.Unlock()
		<-release
	}))
	defer web.Close()
	defer close(release)
	rs := &receivers{got: make(chan struct{}, subscribers)}
	defer rs.close()
	for range subscribers {
		if err := rs.dial(ctx, web.URL, func(context.Context, *websocket.Conn) error { return nil }); err != nil {
			return nil, err
		}
	}
	for begun := time.Now(); ; {
		mu.Lock()
		there := len(conns)
		mu.Unlock()
		if there == subscribers {
			break
		}
		if time.Since(begun) > 10*time.Second {
			return nil, errors.New("not all connections were accepted")
		}
	}
	rs.read(ctx)
	return repeat(runs, func() (float64, error) {
		return perOp(n, func(int) error {
			for _, c := range conns {
				go func() { _ = c.Write(ctx, websocket.MessageBinary, frame) }() // the count shows a failure
			}
			rs.wait()
			return nil
		})
	})
}
