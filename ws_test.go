package ankurah_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// listen serves a node over WebSockets at address until the returned function
// is called.
func listen(t *testing.T, n *ankurah.Node, address string) (at string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	h := wsserver.NewHandler(n, nil)
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ErrServerClosed
	}()
	return l.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		<-done
	}
}

// S27, S30, S32: a client over a WebSocket works on while its server is away;
// when it comes back the client connects by itself, what was edited meanwhile
// arrives on both sides.
func TestServerGoesAndComesBack(t *testing.T) {
	ctx := t.Context()
	server := openNode(t, memory.New(), nil)
	ss := server.Session(policy.Principal{Subject: "alice"})
	id := create(t, ss, ankurah.Fields{"name": "x", "year": 1})
	addr, stop := listen(t, server, "127.0.0.1:0")

	client := openClient(t)
	conn, err := wsclient.Dial(client, "ws://"+addr, &wsclient.Options{Credential: []byte("alice"), MinBackoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	cs := client.Session(policy.Principal{Subject: "alice"})
	q, err := albums.Query(ctx, cs, "year > 0 ORDER BY name")
	if err == nil {
		err = q.WaitSynced(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()

	stop()
	within(t, "the client notices", func() bool { return !client.Connected() && !q.Synced() })
	var tx *ankurah.Tx
	err = cs.Update(ctx, func(t *ankurah.Tx) error {
		tx = t
		e, err := albums.Edit(t, id)
		if err != nil {
			return err
		}
		return e.Set("name", "offline")
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(q.Rows()); len(got) != 1 || got[0] != "offline" || client.Pending() != 1 {
		t.Fatalf("rows offline: %v, %d pending", got, client.Pending())
	}
	create(t, ss, ankurah.Fields{"name": "meanwhile", "year": 2})

	_, stop = listen(t, server, addr)
	defer stop()
	if err := tx.Confirmed(ctx); err != nil {
		t.Fatal(err)
	}
	if err := q.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	if got := names(q.Rows()); len(got) != 2 || got[0] != "meanwhile" || got[1] != "offline" {
		t.Fatalf("rows: %v", got)
	}
	v, err := albums.Get(ctx, ss, id)
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := v.Get("name"); name != "offline" {
		t.Errorf("on the server: %v", name)
	}
}
