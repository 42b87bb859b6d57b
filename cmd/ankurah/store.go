package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/pebble"
)

type (
	record     = ankurah.Record
	collection = ankurah.Collection[ankurah.Fields, ankurah.Record, *ankurah.Edit]
)

// store is an open store, as the user sees it.
type store struct {
	*ankurah.Session
	node   *ankurah.Node
	engine storage.Engine
}

// openStore opens the store that the flags name. Only with create is one made
// where there is none.
func (a *app) openStore(create bool) (*store, error) {
	engine, err := a.openEngine(create)
	if err != nil {
		return nil, err
	}
	node, err := ankurah.OpenNode(a.ctx, engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	s := &store{node.Session(policy.Principal{Subject: a.User}), node, engine}
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

func (a *app) openEngine(create bool) (storage.Engine, error) {
	if a.Store != "" {
		if !a.Sync {
			return nil, usage(errors.New("--no-sync does not go with --store"), "name the folder with --data")
		}
		scheme, _, _ := strings.Cut(a.Store, ":")
		switch scheme {
		case "pebble", "memory":
		default:
			return nil, usage(errors.New("--store "+a.Store+" names no storage engine"), "write pebble:FOLDER or memory:")
		}
		return storage.Open(a.ctx, a.Store)
	}
	if a.Data == "" {
		return nil, usage(errors.New("--data is empty"), "name the folder of the store")
	}
	if !create {
		entries, err := os.ReadDir(a.Data)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
			return nil, missing("there is no store in "+a.Data, "import something first, or name another folder with --data")
		}
		if err != nil {
			return nil, usage(err, "--data names the folder of a store")
		}
	}
	return pebble.Open(a.ctx, a.Data, &pebble.Options{NoSync: !a.Sync})
}

func (s *store) close() error { return errors.Join(s.node.Close(), s.engine.Close()) }

// with runs f on the store and closes it.
func (a *app) with(create bool, f func(s *store) error) error {
	s, err := a.openStore(create)
	if err != nil {
		return err
	}
	err = f(s)
	if closing := s.close(); err == nil {
		err = closing
	}
	return err
}

// known returns the collection of a name, if anything was ever stored in it.
func (s *store) known(name string) (collection, error) {
	names := s.node.Collections()
	if slices.Contains(names, name) {
		return ankurah.Dynamic(name), nil
	}
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
