package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/local"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// server is a durable node on Pebble without fsync, as the reference's on sled.
type server struct {
	n *ankurah.Node
	s *ankurah.Session

	url   string // of its WebSocket; "" without one
	close func() error
}

// listen serves the node over WebSockets on loopback.
func (s *server) listen() {
	h := wsserver.NewHandler(s.n, nil)
	web := httptest.NewServer(h)
	s.url = web.URL
	end := s.close
	s.close = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err := h.Shutdown(ctx)
		web.Close()
		return errors.Join(err, end())
	}
}

func newServer(ctx context.Context) (*server, error) {
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	eng, err := pebble.Open(ctx, dir, &pebble.Options{NoSync: true})
	if err != nil {
		return nil, err
	}
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{
		Durable: true, Policy: policy.Permissive{},
		Limits: ankurah.Limits{PrincipalConnections: 20_000}, // one client stands for many
	})
	if err != nil {
		return nil, errors.Join(err, eng.Close())
	}
	s := &server{n: n, s: n.Session(policy.Principal{Subject: "bench"}), close: func() error {
		defer remove()
		return errors.Join(n.Close(), eng.Close())
	}}
	return s, n.EnsureSystem(ctx)
}

// client is an ephemeral node in memory, connected.
type client struct {
	n    *ankurah.Node
	s    *ankurah.Session
	link interface {
		WaitConnected(ctx context.Context) error
		Close()
	}
}

func newClient(ctx context.Context, to *server) (*client, error) {
	n, err := ankurah.OpenNode(ctx, memory.New(), nil)
	if err != nil {
		return nil, err
	}
	c := &client{n: n, s: n.Session(policy.Principal{Subject: "bench"})}
	return c, c.connect(ctx, to)
}

func (c *client) connect(ctx context.Context, to *server) (err error) {
	if to.url == "" {
		c.link = local.Dial(c.n, to.n, []byte("bench"))
	} else if c.link, err = wsclient.Dial(c.n, to.url, &wsclient.Options{Credential: []byte("bench")}); err != nil {
		return err
	}
	return errors.Join(c.link.WaitConnected(ctx), c.n.WaitReady(ctx))
}

func (c *client) close() error {
	c.link.Close()
	return c.n.Close()
}

// beside measures the cases of a lane that the reference has too.
func beside(ctx context.Context, lane string, runs int, cases []string, params string, measure func(k int) ([]float64, error)) ([]result, error) {
	theirs, noPeer := reference(ctx, lane, runs)
	var out []result
	for k, name := range cases {
		ours, err := measure(k)
		if err != nil {
			return out, err
		}
		r := result{name: name, ours: ours, unit: "us", peer: rust, params: params, noPeer: noPeer}
		if noPeer == nil {
			r.theirs = []float64{theirs[name]}
		}
		out = append(out, r)
	}
	return out, nil
}

func since(start time.Time) float64 { return float64(time.Since(start).Nanoseconds()) / 1000 }

// commitToSubscriber times commits on the server until the callback of a
// client's live query.
func commitToSubscriber(ctx context.Context, runs int) ([]result, error) {
	out, err := beside(ctx, "commit_to_subscriber", runs, []string{"local"}, "engine:pebble-nosync,transport:local,n:2000",
		func(int) ([]float64, error) { return toSubscriber(ctx, runs, false) })
	if err != nil {
		return out, err
	}
	ws, err := toSubscriber(ctx, runs, true)
	return append(out, result{name: "websocket", ours: ws, unit: "us", params: "engine:pebble-nosync,transport:websocket-loopback,n:2000"}), err
}

func toSubscriber(ctx context.Context, runs int, web bool) (out []float64, err error) {
	const n = 2000
	srv, err := newServer(ctx)
	if err != nil {
		return nil, err
	}
	if web {
		srv.listen()
	}
	id, err := createOne(ctx, srv.s)
	if err != nil {
		return nil, err
	}
	c, err := newClient(ctx, srv)
	if err != nil {
		return nil, err
	}
	q, err := cities.Query(ctx, c.s, "name = 'Reykjavik'")
	if err == nil {
		err = q.WaitSynced(ctx)
	}
	if err != nil {
		return nil, err
	}
	seen := make(chan any, 16)
	q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
		for _, ch := range cs.Changes {
			v, _ := ch.After.Get("population")
			seen <- v
		}
	})
	<-seen // the initial row
	next := 1_000_000
	out, err = repeat(runs, func() (float64, error) {
		start := time.Now()
		for range n {
			next++
			if err := setOne(ctx, srv.s, id, next); err != nil {
				return 0, err
			}
			for (<-seen) != int64(next) {
			}
		}
		return since(start) / n, nil
	})
	q.Close()
	return out, errors.Join(err, c.close(), srv.close())
}

// deep creates a city and gives it a history.
func deep(ctx context.Context, srv *server, depth int) (ankurah.ID, error) {
	id, err := createOne(ctx, srv.s)
	for k := 1; err == nil && k <= depth; k++ {
		err = setOne(ctx, srv.s, id, k)
	}
	return id, err
}

func fetchOne(ctx context.Context, c *client, want int) (float64, error) {
	start := time.Now()
	rows, err := cities.Fetch(ctx, c.s, "name = 'Reykjavik'")
	took := since(start)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 {
		return 0, fmt.Errorf("%d rows", len(rows))
	}
	if v, _ := rows[0].Get("population"); v != int64(want) {
		return 0, fmt.Errorf("population %v, want %d", v, want)
	}
	return took, nil
}

// freshFetch times the first fetch of a new client.
func freshFetch(ctx context.Context, runs int) ([]result, error) {
	depths := []int{100, 1000, 5000}
	return beside(ctx, "fresh_fetch", runs, []string{"depth_100", "depth_1000", "depth_5000"}, "engine:pebble-nosync,transport:local", func(k int) ([]float64, error) {
		srv, err := newServer(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := deep(ctx, srv, depths[k]); err != nil {
			return nil, err
		}
		out, err := repeat(max(runs, 15), func() (float64, error) {
			c, err := newClient(ctx, srv)
			if err != nil {
				return 0, err
			}
			took, err := fetchOne(ctx, c, depths[k])
			return took, errors.Join(err, c.close())
		})
		return out, errors.Join(err, srv.close())
	})
}

// bridgeCatchup times a client that comes back: the connection and a fetch.
func bridgeCatchup(ctx context.Context, runs int) ([]result, error) {
	gaps := []int{100, 1000, 5000}
	return beside(ctx, "bridge_catchup", runs, []string{"gap_100", "gap_1000", "gap_5000"}, "engine:pebble-nosync,transport:local", func(k int) ([]float64, error) {
		return repeat(runs, func() (float64, error) {
			srv, err := newServer(ctx)
			if err != nil {
				return 0, err
			}
			id, err := createOne(ctx, srv.s)
			if err != nil {
				return 0, err
			}
			c, err := newClient(ctx, srv)
			if err == nil {
				_, err = fetchOne(ctx, c, 0)
			}
			if err != nil {
				return 0, err
			}
			c.link.Close()
			for j := 1; j <= gaps[k]; j++ {
				if err := setOne(ctx, srv.s, id, j); err != nil {
					return 0, err
				}
			}
			start := time.Now()
			if err := c.connect(ctx, srv); err != nil {
				return 0, err
			}
			if _, err := fetchOne(ctx, c, gaps[k]); err != nil {
				return 0, err
			}
			took := since(start)
			return took, errors.Join(c.close(), srv.close())
		})
	})
}

// subscriptionEstablishment times a new client's live query until its rows are
// the server's.
func subscriptionEstablishment(ctx context.Context, runs int) ([]result, error) {
	sizes := []int{10, 100, 1000}
	return beside(ctx, "subscription_establishment", runs, []string{"n_10", "n_100", "n_1000"}, "engine:pebble-nosync,transport:local", func(k int) ([]float64, error) {
		srv, err := newServer(ctx)
		if err != nil {
			return nil, err
		}
		err = srv.s.Update(ctx, func(tx *ankurah.Tx) error {
			for range sizes[k] {
				if _, err := cities.Create(tx, &ankurah.Fields{"name": "Reykjavik", "population": 0}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out, err := repeat(runs, func() (float64, error) {
			c, err := newClient(ctx, srv)
			if err != nil {
				return 0, err
			}
			start := time.Now()
			q, err := cities.Query(ctx, c.s, "name = 'Reykjavik'")
			if err == nil {
				err = q.WaitSynced(ctx)
			}
			if err != nil {
				return 0, err
			}
			took := since(start)
			if got := len(q.Rows()); got != sizes[k] {
				return 0, fmt.Errorf("%d rows, want %d", got, sizes[k])
			}
			q.Close()
			return took, c.close()
		})
		return out, errors.Join(err, srv.close())
	})
}
