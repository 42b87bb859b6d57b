// Package pebble provides the default storage engine: one folder on disk,
// written through Pebble, a log-structured merge tree.
//
//	engine, err := pebble.Open(ctx, "./data", nil)
//
// A commit is on disk (fsync) when it returns, unless [Options.NoSync] is set.
// One process can have a folder open at a time. Importing the package makes
// the scheme "pebble" known to storage.Open: "pebble:./data",
// "pebble:///var/lib/app".
package pebble

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
)

func init() {
	storage.Register("pebble", func(ctx context.Context, url string) (storage.Engine, error) {
		dir, err := folder(url)
		if err != nil {
			return nil, err
		}
		e, err := Open(ctx, dir, nil)
		if err != nil {
			return nil, err
		}
		return e, nil
	})
}

// folder returns the folder that a URL names.
func folder(url string) (string, error) {
	_, dir, _ := strings.Cut(url, ":")
	if rest, ok := strings.CutPrefix(dir, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return "", errors.New("ankurah: " + url + " names a host: write pebble:./folder or pebble:///folder")
		}
		dir = rest
	}
	if dir == "" {
		return "", errors.New("ankurah: " + url + " names no folder: write pebble:./folder or pebble:///folder")
	}
	return dir, nil
}

// Logger takes what Pebble reports of its own work; *slog.Logger is one.
type Logger interface {
	Info(msg string, args ...any)
	Error(msg string, args ...any)
}

// Options configures an engine; nil is the zero value.
type Options struct {
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// CacheSize is the size of the block cache in bytes. 0 means 64 MiB. The
	// resident memory of an engine is bounded by it and by a few memtables of
	// 32 MiB.
	CacheSize int64
	// NoSync lets Commit return before the data is on disk: what was committed
	// last is lost when the machine stops, but not when the process does.
	// What is left is consistent: whole commits, in their order.
	NoSync bool
	// Prefix begins every key, so that several systems can share a folder,
	// one engine at a time; see [OpenStore] for several at once.
	Prefix []byte
	// ReadOnly opens the folder without changing anything in it.
	ReadOnly bool
	// Logger gets Pebble's messages; nil drops them.
	Logger Logger

	Index kv.IndexOptions

	memTable uint64 // size in bytes, 0 for the default
}

func (o *Options) orDefault() Options {
	if o == nil {
		return Options{}
	}
	return *o
}

// Open opens the store in folder dir, which it makes if need be. A folder that
// another process has open is an error that wraps [storage.ErrLocked], damaged
// files one that wraps [storage.ErrCorrupt].
func Open(ctx context.Context, dir string, opts *Options) (*kv.Engine, error) {
	o := opts.orDefault()
	store, err := OpenStore(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	return kv.New(store, store.EngineOptions(o.Prefix, o.Index))
}

// EngineOptions returns the options for an engine over s under a prefix.
func (s *Store) EngineOptions(prefix []byte, index kv.IndexOptions) *kv.Options {
	durability := "fsync"
	if s.opts.NoSync {
		durability = "none"
	}
	return &kv.Options{
		Name: "pebble", Location: s.dir, Durability: durability,
		Prefix: prefix, ReadOnly: s.opts.ReadOnly, Index: index,
	}
}

// absolute returns the one name by which the folder is locked, whatever the
// caller calls it.
func absolute(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	return abs, nil // it does not exist yet
}
