package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
)

type backupCommand struct {
	Out string `required:"" help:"Folder to make, which does not exist yet." placeholder:"DIR"`
}

// Run copies the store. When a server has it open, the server does.
func (c *backupCommand) Run(a *app) error {
	if a.Server != "" {
		return usage(errors.New("--server does not go with backup"), "name the store with --data, on the server's machine")
	}
	out, err := filepath.Abs(c.Out)
	if err != nil {
		return usage(err, "--out names a folder")
	}
	begun := time.Now()
	engine, err := a.openEngine(access{})
	switch {
	case errors.Is(err, ankurah.ErrStoreLocked):
		var said answer
		if err = a.ask(http.MethodPost, "/backup", order{out}, &said, err); err == nil {
			err = said.fault()
		}
	case err == nil:
		var node *ankurah.Node
		node, err = ankurah.OpenNode(a.ctx, engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
		if err == nil {
			err = errors.Join(node.Backup(a.ctx, out), node.Close())
		}
		err = errors.Join(err, engine.Close())
	}
	if err != nil {
		return err
	}
	if a.JSON {
		return a.printJSON(struct {
			Store   string  `json:"store"`
			Backup  string  `json:"backup"`
			Seconds float64 `json:"seconds"`
		}{a.folder(), c.Out, time.Since(begun).Seconds()})
	}
	_, err = fmt.Fprintf(a.out, "backed up %s to %s in %.1f s: a store by itself, for --data to name\n", a.folder(), c.Out, time.Since(begun).Seconds())
	return err
}

// folder returns the folder of the store that the flags name.
func (a *app) folder() string {
	if dir, ok := strings.CutPrefix(a.Store, "pebble:"); ok {
		return strings.TrimPrefix(dir, "//")
	}
	return a.Data
}

// socket is the name of the socket in the folder of a store, on which a server
// takes requests of those who may use the folder: only its owner may.
const socket = "serve.sock"

// order is what is asked for on the socket.
type order struct {
	Backup string `json:"backup"` // folder to make
}

// answer is what a server says to it.
type answer struct {
	Error string `json:"error,omitempty"`
}

// fault returns what went wrong.
func (a *answer) fault() error {
	if a.Error == "" {
		return nil
	}
	return errors.New(a.Error)
}

// admit takes requests on the socket of the store until the returned function
// is called. A system that has no such sockets does without.
func (a *app) admit(node *ankurah.Node, log *slog.Logger) (end func() error) {
	path := filepath.Join(a.folder(), socket)
	l, err := listen(path)
	if err != nil {
		log.Warn("no backup and no inspect while serving", "error", err)
		return func() error { return nil }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) {
		var o order
		var said answer
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&o)
		if err == nil && !filepath.IsAbs(o.Backup) {
			err = errors.New("ankurah: the folder is not named by an absolute path")
		}
		if err == nil {
			err = node.Backup(r.Context(), o.Backup)
		}
		if err != nil {
			said.Error = err.Error()
			log.Warn("backup failed", "folder", o.Backup, "error", err)
		} else {
			log.Info("backed up", "folder", o.Backup)
		}
		if err := json.NewEncoder(w).Encode(said); err != nil {
			log.Warn("nobody hears of the backup", "error", err)
		}
	})
	mux.HandleFunc("GET /inspect", func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewEncoder(w).Encode(inspect(node)); err != nil {
			log.Warn("nobody hears of the live queries", "error", err)
		}
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			_ = srv.Close() // it cuts what takes longer
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			log.Warn("no backup and no inspect while serving", "error", err)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
}

// listen listens on a socket that nobody else may use, not even while it is
// being made. One that a killed process has left is replaced: who holds the
// store's lock is the only server.
func listen(path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), "serve-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	err = os.Chmod(filepath.Join(dir, "s"), 0o600)
	if err == nil {
		err = os.Rename(filepath.Join(dir, "s"), path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// ask asks the server that has the store open, and reads its answer into said.
// What it sends is JSON; alone is the error when there is no server.
func (a *app) ask(method, path string, send, said any, alone error) error {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(a.folder(), socket))
	}}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(send)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(a.ctx, method, "http://server"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	if err != nil {
		return &failure{exitStore, "no ankurah serve answers in " + a.folder(), alone}
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(said); err != nil {
		return &failure{exitServer, "look at what it logged", fmt.Errorf("the server did not do it: %w", err)}
	}
	return nil
}
