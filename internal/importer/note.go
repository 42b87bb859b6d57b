package importer

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go"
)

// note is the entity that says how far an import is.
type note struct {
	source, digest, collection, options string

	id       ankurah.ID // zero when there is none yet
	done     int        // rows
	complete bool       // these are all the rows of the source
}

// find looks for what an earlier run noted.
func (n *note) find(ctx context.Context, s *ankurah.Session, again bool) error {
	r, err := ankurah.Dynamic(Notes).First(ctx, s, "digest = ? AND collection = ? ORDER BY id DESC", n.digest, n.collection)
	if errors.Is(err, ankurah.ErrNotFound) {
		return n.replaced(ctx, s, again)
	}
	if err != nil {
		return err
	}
	rows, _ := r.Get("rows")
	done, _ := rows.(int64)
	complete, _ := r.Get("complete")
	options, _ := r.Get("options")
	switch {
	case again && (complete == true || options != n.options):
		return nil
	case complete != true && options != n.options:
		text, _ := options.(string)
		return &OptionsError{Rows: int(done), Options: text}
	}
	n.id, n.done, n.complete = r.ID(), int(done), complete == true
	return nil
}

// replaced returns an error when the last import of a source of this name did
// not end, and the source was another one.
func (n *note) replaced(ctx context.Context, s *ankurah.Session, again bool) error {
	if again || n.source == stream {
		return nil
	}
	r, err := ankurah.Dynamic(Notes).First(ctx, s, "source = ? AND collection = ? ORDER BY id DESC", n.source, n.collection)
	if errors.Is(err, ankurah.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if complete, _ := r.Get("complete"); complete == true {
		return nil
	}
	rows, _ := r.Get("rows")
	done, _ := rows.(int64)
	return &ReplacedError{Source: n.source, Rows: int(done)}
}

// commit runs f in a transaction that notes how many rows are done with it.
func (n *note) commit(ctx context.Context, s *ankurah.Session, done int, complete bool, f func(tx *ankurah.Tx) error) error {
	id := n.id
	err := s.UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		notes := ankurah.Dynamic(Notes)
		if n.id.IsZero() {
			e, err := notes.Create(tx, &ankurah.Fields{
				"source": n.source, "digest": n.digest, "collection": n.collection, "options": n.options,
				"rows": int64(done), "complete": complete,
			})
			if err == nil {
				id = e.ID()
			}
			return err
		}
		e, err := notes.Edit(tx, n.id)
		if err != nil {
			return err
		}
		return errors.Join(e.Set("rows", int64(done)), e.Set("complete", complete))
	})
	if err == nil {
		n.id, n.done, n.complete = id, done, complete
	}
	return err
}
