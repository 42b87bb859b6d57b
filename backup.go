package ankurah

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/storage"
)

// Backup copies the store of a durable node to folder dir, which must not exist
// or be empty, while the node goes on. The copy is what was committed at one
// moment, and a store by itself: opened in the place of this one it has an ID
// and an epoch of its own, so that clients that know newer things replace them
// (S8). An engine that cannot copy its store is an error.
func (n *Node) Backup(ctx context.Context, dir string) error {
	if !n.durable {
		return errors.New("ankurah: an ephemeral node holds copies only: back up its server")
	}
	if err := n.alive(); err != nil {
		return err
	}
	c, ok := n.engine.(storage.Copier)
	if !ok {
		return errors.New("ankurah: the engine " + n.engine.Info().Name + " cannot copy its store: dump it instead")
	}
	return c.Copy(ctx, dir, storage.MetaWrite{Key: []byte(book.Copied), Value: []byte{1}})
}
