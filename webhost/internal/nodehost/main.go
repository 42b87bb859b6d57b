//go:build js

// Command nodehost is the smallest program of pages with a node: the tests of
// web/worker run it, and its size is what a node costs.
package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/webhost"
)

var notes = ankurah.Dynamic("note")

// host answers pages: "add …" adds a note, "list" lists them, "pending" counts
// what the server has not decided on.
type host struct {
	node *ankurah.Node

	mu      sync.Mutex // guards what follows
	session *ankurah.Session
	live    *ankurah.LiveQuery[ankurah.Record]
}

func main() {
	_ = webhost.Run(func(ctx context.Context, engine storage.Engine) (webhost.Accept, error) {
		node, err := ankurah.OpenNode(ctx, engine, nil)
		if err != nil {
			return nil, err
		}
		opts := &wsclient.Options{Credential: []byte("alice")}
		server, _ := syscall.Getenv("SERVER") // package os would come with files
		if _, err := wsclient.Dial(node, server, opts); err != nil {
			return nil, err
		}
		return (&host{node: node}).accept, nil
	})
}

func (h *host) accept(ctx context.Context, c transport.Conn) error {
	for {
		f, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		answer, err := h.answer(ctx, string(f))
		if err != nil {
			answer = err.Error()
		}
		if err := c.Send(ctx, []byte(answer)); err != nil {
			return err
		}
	}
}

func (h *host) answer(ctx context.Context, request string) (string, error) {
	if err := h.open(ctx); err != nil {
		return "", err
	}
	what, text, _ := strings.Cut(request, " ")
	switch what {
	case "add":
		return "", h.session.Update(ctx, func(tx *ankurah.Tx) error {
			_, err := notes.Create(tx, &ankurah.Fields{"text": text})
			return err
		})
	case "list":
		var all []string
		for _, r := range h.live.Rows() {
			t, _ := r.Get("text")
			all = append(all, t.(string))
		}
		return strings.Join(all, ","), nil
	case "pending":
		return strconv.Itoa(h.node.Pending()), nil
	}
	return "", errors.New("unknown request " + request)
}

// open opens the live query as soon as the node has joined a system.
func (h *host) open(ctx context.Context) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.live != nil {
		return nil
	}
	if err := h.node.WaitReady(ctx); err != nil {
		return err
	}
	h.session = h.node.Session(policy.Principal{Subject: "alice"})
	h.live, err = notes.Query(ctx, h.session, "ORDER BY text")
	return err
}
