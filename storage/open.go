package storage

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/ankurah/ankurah-go/internal/sorting"
)

// Opener opens the store that a URL names; the scheme is its own.
type Opener func(ctx context.Context, url string) (Engine, error)

var registry struct {
	sync.Mutex
	openers map[string]Opener
}

// Register makes a scheme known to [Open]. Engines call it when their package
// is imported. Registering a scheme twice panics.
func Register(scheme string, open Opener) {
	registry.Lock()
	defer registry.Unlock()
	if _, twice := registry.openers[scheme]; twice {
		panic("ankurah: storage scheme " + scheme + " registered twice")
	}
	if registry.openers == nil {
		registry.openers = map[string]Opener{}
	}
	registry.openers[scheme] = open
}

// Open opens the store that url names, such as "pebble:./data" or "memory:".
func Open(ctx context.Context, url string) (Engine, error) {
	scheme, _, ok := strings.Cut(url, ":")
	registry.Lock()
	open := registry.openers[scheme]
	var known []string
	for s := range registry.openers {
		known = append(known, s)
	}
	registry.Unlock()
	if !ok || open == nil {
		sorting.Sort(known, strings.Compare)
		return nil, errors.New("ankurah: no storage engine for " + url + " (known: " + strings.Join(known, ", ") + "): write scheme:location, and import the engine's package")
	}
	return open(ctx, url)
}
