package wsserver_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// What a client sends right behind its handshake is not lost, in one packet with
// it or not, whether it fits into a buffer or not.
func TestEarlyFrames(t *testing.T) {
	frames := make(chan string, 10)
	_, url := serve(t, acceptFunc(func(ctx context.Context, c transport.Conn) error {
		for {
			f, err := c.Receive(ctx)
			if err != nil {
				return c.Close()
			}
			frames <- string(f)
		}
	}), nil)
	for _, size := range []int{1, 100, 511, 512, 513, 3000, 100_000} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		b := []byte("GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: " + wsserver.Subprotocol + "\r\n\r\n")
		var want []string
		for _, letter := range "ab" {
			payload := strings.Repeat(string(letter), size)
			want = append(want, payload)
			// A binary message, final, masked with zeros.
			b = binary.BigEndian.AppendUint64(append(b, 0x82, 0x80|127), uint64(size))
			b = append(append(b, 0, 0, 0, 0), payload...)
		}
		go func() { _, _ = conn.Write(b) }() // nobody reads the answer meanwhile
		for _, w := range want {
			select {
			case got := <-frames:
				if got != w {
					t.Errorf("%d bytes came of %d", len(got), size)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("a frame of %d bytes is lost", size)
			}
		}
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%v, %v", resp, err)
		}
		conn.Close()
	}
}

// net/http has its goroutine back, and what it holds of the request, as soon as
// there is a connection.
func TestRequestIsLetGo(t *testing.T) {
	h := wsserver.NewHandler(newAcceptor(), nil)
	over := make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		over <- struct{}{}
	}))
	defer srv.Close()
	ws, err := dial(t, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-over
	echo(t, ws, []byte("x"))
	if h.Conns() != 1 {
		t.Errorf("%d connections", h.Conns())
	}
	ws.CloseNow()
	until(t, "no connections", func() bool { return h.Conns() == 0 })
}
