package kv

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go/storage"
)

// Copier is a [Store] that can copy itself while it is in use.
type Copier interface {
	// Copy makes folder dir, which must not exist or be empty, a store with
	// what was applied, and with the writes upon that. The folder gets its
	// name when it is whole.
	Copy(ctx context.Context, dir string, writes []Write) error
}

var _ storage.Copier = (*Engine)(nil)

// Copy makes folder dir a copy of the store, as [storage.Copier] says. Commits
// go on meanwhile. Of a store that several engines share all is copied, and
// the marks are this engine's.
func (e *Engine) Copy(ctx context.Context, dir string, mark ...storage.MetaWrite) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	c, ok := e.store.(Copier)
	if !ok {
		return errors.New("ankurah: the engine " + e.opts.Name + " cannot copy " + e.opts.Location + " as it is: dump it instead")
	}
	writes := make([]Write, len(mark))
	for k, m := range mark {
		key := e.keys.meta(nil, m.Key)
		if m.Value == nil {
			writes[k] = Write{Key: key, Delete: true}
		} else {
			writes[k] = Write{Key: key, Value: e.keys.sealed(key, m.Value)}
		}
	}
	return c.Copy(ctx, dir, writes)
}
