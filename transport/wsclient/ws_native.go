//go:build !js

package wsclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/internal/wsconn"
)

// Options configures a connection.
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
	// Header is sent with the request that opens the WebSocket.
	Header http.Header
	// HTTPClient makes that request. The default is one of its own, with the
	// proxy of the environment.
	HTTPClient *http.Client
	// Compression offers permessage-deflate.
	Compression bool
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
// http or https, and connects it again until Close. It returns at once; an
// error is one of an address.
func Dial(node transport.Connector, address string, opts *Options) (*Conn, error) {
	if opts == nil {
		opts = &Options{}
	}
	addresses, err := parseAddresses(address, opts.Addresses)
	if err != nil {
		return nil, err
	}
	d := &dialer{opts: *opts, client: opts.HTTPClient}
	d.opts.Header = opts.Header.Clone()
	cfg := config{addresses: addresses, credential: opts.CredentialFunc, dial: d.dial, min: opts.MinBackoff, max: opts.MaxBackoff, log: opts.Logger}
	if d.client == nil {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment}
		if def, ok := http.DefaultTransport.(*http.Transport); ok {
			t = def.Clone()
		}
		d.client = &http.Client{Transport: t}
		cfg.release = t.CloseIdleConnections
	}
	if credential := bytes.Clone(opts.Credential); cfg.credential == nil && credential != nil {
		cfg.credential = func(context.Context) ([]byte, error) { return credential, nil }
	}
	return start(node, cfg), nil
}

type dialer struct {
	opts   Options
	client *http.Client
}

// dial opens a WebSocket.
func (d *dialer) dial(ctx context.Context, to *address) (transport.Conn, error) {
	name := to.Redacted()
	var mu sync.Mutex // guards raw
	var raw net.Conn
	timed, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	ws, resp, err := websocket.Dial(
		httptrace.WithClientTrace(timed, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			mu.Lock()
			defer mu.Unlock()
			raw = i.Conn
		}}),
		to.String(), &websocket.DialOptions{
			HTTPClient:      d.client,
			HTTPHeader:      d.opts.Header,
			Host:            d.opts.Header.Get("Host"),
			Subprotocols:    []string{wsconn.Subprotocol},
			CompressionMode: d.compression(),
		})
	switch {
	case err == nil:
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return nil, refused(name, resp)
	case ctx.Err() == nil && timed.Err() != nil:
		return nil, errSilent(name, timed.Err())
	default:
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the rest repeats the address
		}
		return nil, &failedError{name + " cannot be reached", err}
	}
	if got := ws.Subprotocol(); got != wsconn.Subprotocol {
		_ = ws.CloseNow()
		return nil, errors.New("ankurah: " + name + " is a WebSocket but does not speak " + wsconn.Subprotocol + "; is the path right?")
	}
	cfg := wsconn.Config{MaxFrame: d.opts.MaxFrame, WriteTimeout: d.opts.WriteTimeout}
	mu.Lock()
	defer mu.Unlock()
	if raw != nil {
		cfg.Raw = raw
	}
	return wsconn.New(ws, cfg), nil
}

func (d *dialer) compression() websocket.CompressionMode {
	if d.opts.Compression {
		return websocket.CompressionNoContextTakeover
	}
	return websocket.CompressionDisabled
}

// refused says how a server answered that opens no WebSocket.
func refused(name string, resp *http.Response) error {
	text := fmt.Sprintf("ankurah: %s answered %d %s", name, resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.Body != nil {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		if line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n"); line != "" && !strings.HasPrefix(line, "<") {
			text += ": " + clean(line)
		}
	}
	err := errors.New(text)
	if after, ok := retryAfter(resp.Header.Get("Retry-After")); ok {
		return &transport.RetryError{After: after, Err: err}
	}
	return err
}

// clean drops what could disturb a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(s string) (time.Duration, bool) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < 1e6 {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(t)), true
	}
	return 0, false
}

// address is that of a server.
type address = url.URL

func parseAddress(s string) (*address, error) {
	u, err := url.Parse(s)
	if err != nil {
		if parse, ok := errors.AsType[*url.Error](err); ok {
			err = parse.Err // it would repeat the address
		}
		return nil, err
	}
	if u.Scheme, err = socketScheme(u.Scheme); err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, errNoHost
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}
