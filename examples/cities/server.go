package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// agent lets everybody read the cities, and editors count visitors, of which
// there are never fewer than none. Credentials are names: this is a
// demonstration.
func agent() (policy.Agent, error) {
	return policy.Rules{
		Credentials: func(_ context.Context, credential []byte) (policy.Principal, error) {
			switch name := string(credential); name {
			case "editor":
				return policy.Principal{Subject: name, Roles: []string{"editor"}}, nil
			case "guest":
				return policy.Principal{Subject: name}, nil
			}
			return policy.Principal{}, errors.New("the credential is editor or guest")
		},
		Collections: map[string][]policy.Rule{
			"city": {
				{Role: "", Read: "TRUE"},
				{Name: "visitors are never negative", Role: "editor", Read: "TRUE", Write: "visitors IS NULL OR visitors >= 0"},
			},
		},
	}.Agent()
}

// serve is the server process: a durable node on the data folder, until it is
// interrupted or killed.
func serve(ctx context.Context) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	eng, err := pebble.Open(ctx, *data, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	rules, err := agent()
	if err != nil {
		return err
	}
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: rules})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	h := wsserver.NewHandler(n, nil)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = h.Shutdown(grace) // who has not left by then is cut off
		_ = srv.Close()
	}()
	fmt.Println(l.Addr())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// process is this program again, with other flags.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	in    io.WriteCloser
}

func start(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, append([]string{"-data", *data}, args...)...)}
	if !*keep { // what is kept must not hold this one's output open
		p.cmd.Stderr = os.Stderr
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.lines = bufio.NewScanner(out)
	return p, p.cmd.Start()
}

// line returns the next line that the process prints.
func (p *process) line() (string, error) {
	if !p.lines.Scan() {
		return "", fmt.Errorf("ankurah: process %d says nothing more: %w", p.cmd.Process.Pid, errors.Join(p.lines.Err(), io.ErrUnexpectedEOF))
	}
	return strings.TrimSpace(p.lines.Text()), nil
}

// say gives the process a line, and returns when it has printed one with the
// answer.
func (p *process) say(order string) (string, error) {
	if _, err := fmt.Fprintln(p.in, order); err != nil {
		return "", err
	}
	return p.line()
}

// startServer starts the server process; address is "127.0.0.1:0" for any
// port.
func startServer(ctx context.Context, address string) (*process, string, error) {
	p, err := start(ctx, "-serve", "-listen", address)
	if err != nil {
		return nil, "", err
	}
	at, err := p.line()
	return p, at, err
}

// connect opens an ephemeral node in memory, connected to a server.
func connect(ctx context.Context, eng *ankurah.Node, url, credential string) (*wsclient.Conn, *ankurah.Session, error) {
	c, err := wsclient.Dial(eng, url, &wsclient.Options{Credential: []byte(credential), MinBackoff: 20 * time.Millisecond, MaxBackoff: 200 * time.Millisecond})
	if err != nil {
		return nil, nil, err
	}
	if err := c.WaitConnected(ctx); err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, eng.Session(policy.Principal{Subject: credential}), nil
}
