// Command echo is the server that wsclient's tests in a browser talk to. It
// prints its address and ends with its standard input.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// acceptor serves connections with a function, which gets the credential that
// every connection begins with.
type acceptor func(ctx context.Context, c transport.Conn, credential []byte) error

func (a acceptor) Accept(ctx context.Context, c transport.Conn) error {
	defer func() { _ = c.Close() }()
	credential, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	return a(ctx, c, credential)
}

// echo sends back what it gets.
func echo(ctx context.Context, c transport.Conn, _ []byte) error {
	for {
		f, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if err := c.Send(ctx, f); err != nil {
			return err
		}
	}
}

// burst sends as many numbered frames as the next frame says, and ends.
func burst(ctx context.Context, c transport.Conn, _ []byte) error {
	f, err := c.Receive(ctx)
	for k := uint32(0); err == nil && k < binary.BigEndian.Uint32(f); k++ {
		err = c.Send(ctx, binary.BigEndian.AppendUint32(nil, k))
	}
	return err
}

// deaf takes nothing more.
func deaf(ctx context.Context, _ transport.Conn, _ []byte) error {
	<-ctx.Done()
	return nil
}

// greet sends the credential back and ends.
func greet(ctx context.Context, c transport.Conn, credential []byte) error {
	return c.Send(ctx, credential)
}

func main() {
	all := &wsserver.Options{Origins: []string{"*"}}
	mux := http.NewServeMux()
	for path, a := range map[string]acceptor{"/echo": echo, "/burst": burst, "/deaf": deaf, "/greet": greet} {
		mux.Handle(path, wsserver.NewHandler(a, all))
	}
	mux.Handle("/small", wsserver.NewHandler(acceptor(echo), &wsserver.Options{Origins: []string{"*"}, MaxFrame: 1000}))
	mux.Handle("/closed", wsserver.NewHandler(acceptor(echo), nil)) // to pages of other origins
	mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err == nil {
			_, _, _ = c.Read(r.Context())
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("http://" + l.Addr().String())
	go func() { _ = http.Serve(l, mux) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}
