//go:build js

package wsclient

import (
	"bytes"
	"context"
	"strings"
	"syscall/js"
	"time"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/internal/wsconn"
)

// Options configures a connection. Headers, proxies and compression are the
// browser's affair.
type Options struct {
	// Addresses are further servers of the same system, tried in turn.
	Addresses []string
	// Credential is what the server's policy agent knows the principal by.
	Credential []byte
	// CredentialFunc, if there is one, is asked for the credential before each
	// attempt. An error fails the attempt, and ends the connection for good if
	// it wraps transport.ErrPermanent.
	CredentialFunc func(ctx context.Context) ([]byte, error)
	// MinBackoff and MaxBackoff bound the wait before the next attempt. 0 are
	// 100 ms and 15 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxFrame is the largest frame in bytes, both ways. 0 is
	// transport.MaxFrame.
	MaxFrame int
	// WriteTimeout is how long the server may take to take a frame, and a
	// second more for each 64 KiB. 0 is 30 seconds.
	WriteTimeout time.Duration
	// Logger takes warnings and errors; nil is silent.
	Logger Logger
}

// Dial connects node to the server at address, a URL with the scheme ws, wss,
// http or https, or a path on the server that the page is from, and connects it
// again until Close. It returns at once; an error is one of an address.
func Dial(node transport.Connector, address string, opts *Options) (*Conn, error) {
	if opts == nil {
		opts = &Options{}
	}
	further := make([]string, len(opts.Addresses))
	for k, a := range opts.Addresses {
		further[k] = absolute(a)
	}
	addresses, err := parseAddresses(absolute(address), further)
	if err != nil {
		return nil, err
	}
	d := &dialer{wsconn.Config{MaxFrame: opts.MaxFrame, WriteTimeout: opts.WriteTimeout}}
	cfg := config{addresses: addresses, credential: opts.CredentialFunc, dial: d.dial, min: opts.MinBackoff, max: opts.MaxBackoff, log: opts.Logger}
	if credential := bytes.Clone(opts.Credential); cfg.credential == nil && credential != nil {
		cfg.credential = func(context.Context) ([]byte, error) { return credential, nil }
	}
	return start(node, cfg), nil
}

// absolute returns the address of a path on the page's own server.
func absolute(address string) string {
	if origin := js.Global().Get("origin"); strings.HasPrefix(address, "/") && origin.Type() == js.TypeString {
		return origin.String() + address
	}
	return address
}

type dialer struct{ cfg wsconn.Config }

// dial opens a WebSocket.
func (d *dialer) dial(ctx context.Context, to *address) (transport.Conn, error) {
	name := to.Redacted()
	timed, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	c, err := wsconn.Dial(timed, to.String(), d.cfg)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() == nil && timed.Err() != nil:
		return nil, errSilent(name, timed.Err())
	}
	return nil, &failedError{name + " cannot be reached", err}
}
