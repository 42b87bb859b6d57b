package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/importer"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/transport/wsclient"
)

type (
	record     = ankurah.Record
	collection = ankurah.Collection[ankurah.Fields, ankurah.Record, *ankurah.Edit]
)

// store is an open store, or a server's, as the user sees it.
type store struct {
	*ankurah.Session
	node   *ankurah.Node
	engine storage.Engine
	server *wsclient.Conn // nil: the store is here
}

// connect returns the store of the server that the flags name. This node holds
// what it asks for in memory.
func (a *app) connect() (*store, error) {
	if a.Store != "" {
		return nil, usage(errors.New("--server and --store together"), "choose one")
	}
	engine := memory.New()
	node, err := ankurah.OpenNode(a.ctx, engine, nil)
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	s := &store{node: node, engine: engine}
	credential := a.Credential
	if credential == "" {
		credential = a.User
	}
	s.server, err = wsclient.Dial(node, a.Server, &wsclient.Options{Credential: []byte(credential)})
	if err != nil {
		return nil, errors.Join(usage(err, "write ws://HOST:PORT/ankurah"), s.close())
	}
	ctx, cancel := context.WithTimeout(a.ctx, connectTimeout)
	defer cancel()
	if err := s.server.WaitConnected(ctx); err != nil {
		if !errors.Is(err, ankurah.ErrUnauthenticated) {
			err = &failure{exitServer, "look whether the server runs, and whether --server names it", err}
		}
		return nil, errors.Join(err, s.close())
	}
	s.Session = node.Session(policy.Principal{Subject: node.Subject()})
	if err := node.Describe(a.ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// connectTimeout is how long a server may take to answer.
const connectTimeout = 5 * time.Second

// openStore opens the store that the flags name. Only with create is one made
// where there is none.
func (a *app) openStore(create bool) (*store, error) {
	if a.Server != "" {
		return a.connect()
	}
	engine, err := a.openEngine(access{create: create})
	if err != nil {
		return nil, err
	}
	node, err := ankurah.OpenNode(a.ctx, engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	s := &store{Session: node.Session(policy.Principal{Subject: a.User}), node: node, engine: engine}
	if create {
		err = node.EnsureSystem(a.ctx)
	} else if node.System().IsZero() {
		err = missing("the store in "+engine.Info().Location+" is empty", "import something first, or name another store with --data")
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// access is how a store is opened.
type access struct {
	create   bool // where there is none
	readOnly bool
	shared   bool // other servers may open it, too
	outage   time.Duration
}

// openEngine opens the engine of the store that the flags name.
func (a *app) openEngine(how access) (storage.Engine, error) {
	if how.shared && !strings.HasPrefix(a.Store, "postgres") {
		return nil, usage(errors.New("--shared goes with a PostgreSQL store"), "name one with --store postgres://USER@HOST/DATABASE")
	}
	if a.Store != "" {
		if !a.Sync {
			return nil, usage(errors.New("--no-sync does not go with --store"), "name the folder with --data")
		}
		scheme, _, _ := strings.Cut(a.Store, ":")
		switch scheme {
		case "pebble", "memory":
		case "postgres", "postgresql":
			e, err := postgres.Open(a.ctx, a.Store, &postgres.Options{ReadOnly: how.readOnly, Shared: how.shared, Outage: how.outage})
			if err != nil {
				return nil, err
			}
			return e, nil
		default:
			return nil, usage(errors.New("--store "+scheme+":… names no storage engine"), "write pebble:FOLDER, memory: or postgres://USER@HOST/DATABASE")
		}
		return storage.Open(a.ctx, a.Store)
	}
	if a.Data == "" {
		return nil, usage(errors.New("--data is empty"), "name the folder of the store")
	}
	if !how.create {
		entries, err := os.ReadDir(a.Data)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
			return nil, missing("there is no store in "+a.Data, "import something first, or name another folder with --data")
		}
		if err != nil {
			return nil, usage(err, "--data names the folder of a store")
		}
	}
	return pebble.Open(a.ctx, a.Data, &pebble.Options{NoSync: !a.Sync, ReadOnly: how.readOnly})
}

func (s *store) close() error {
	if s.server != nil {
		s.server.Close()
	}
	return errors.Join(s.node.Close(), s.engine.Close())
}

// with runs f on the store and closes it.
func (a *app) with(create bool, f func(s *store) error) error {
	s, err := a.openStore(create)
	if err != nil {
		return err
	}
	err = f(s)
	if err == nil {
		err = s.decided(a.ctx)
	}
	if closing := s.close(); err == nil {
		err = closing
	}
	return err
}

// decided waits for a server's word on what was written, and returns the first
// refusal.
func (s *store) decided(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	if s.node.Pending() > 0 {
		if err := s.node.Settle(ctx); err != nil {
			return err
		}
	}
	for r, err := range s.node.Rejected(ctx) {
		if err != nil {
			return err
		}
		return &ankurah.RejectedError{Tx: r.Tx, Reason: r.Reason}
	}
	return nil
}

// known returns the collection of a name, if anything was ever stored in it.
func (s *store) known(name string) (collection, error) {
	names := s.node.Collections()
	if slices.Contains(names, name) {
		return ankurah.Dynamic(name), nil
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == importer.Notes }) // it is no user's
	hint := "the store has " + strings.Join(names, ", ")
	if len(names) == 0 {
		hint = "the store has none"
	}
	return collection{}, missing("there is no collection "+name, hint)
}

// columns returns the property keys of a collection, sorted.
func (s *store) columns(name string) []string {
	var keys []string
	if m := s.node.Model(name); m != nil {
		for _, p := range m.Properties {
			if !strings.HasPrefix(p.Key, "_") {
				keys = append(keys, p.Key)
			}
		}
	}
	return keys
}
