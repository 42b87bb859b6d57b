package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/importer"
)

// edit is one line of a feed.
type edit struct {
	ID     *ankurah.ID    `json:"id"`
	Set    map[string]any `json:"set"`
	Delete bool           `json:"delete"`
}

// feed commits edits one by one, as they come, each in its own transaction.
// It returns when ctx ends, though the reader may have nothing to say.
func feed(ctx context.Context, s *store, in collection, r io.Reader) error {
	type line struct {
		edit edit
		err  error
	}
	lines := make(chan line)
	go func() {
		defer close(lines)
		d := json.NewDecoder(r)
		d.UseNumber()
		for {
			var l line
			var raw json.RawMessage
			if l.err = d.Decode(&raw); l.err == nil {
				strict := json.NewDecoder(bytes.NewReader(raw))
				strict.UseNumber()
				strict.DisallowUnknownFields()
				l.err = strict.Decode(&l.edit)
			} else if l.err == io.EOF {
				return
			}
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
			if l.err != nil {
				return
			}
		}
	}()
	for n := 1; ; n++ {
		select {
		case l, more := <-lines:
			if !more {
				return ctx.Err()
			}
			err := l.err
			if err != nil {
				err = badInput(err, `edits look like {"id": "…", "set": {"name": "x"}}, one a line`)
			} else {
				err = commit(ctx, s, in, &l.edit)
			}
			if err != nil {
				return fmt.Errorf("edit %d: %w", n, err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func commit(ctx context.Context, s *store, in collection, e *edit) error {
	fields := ankurah.Fields{}
	for _, key := range slices.Sorted(maps.Keys(e.Set)) {
		if err := importer.CheckName(key); err != nil {
			return badInput(fmt.Errorf("field %s: %w", key, err), "choose another name")
		}
		v, err := importer.FromJSON(e.Set[key])
		if err != nil {
			return badInput(fmt.Errorf("field %s: %w", key, err), "correct it")
		}
		fields[key] = v
	}
	switch {
	case e.Delete && (e.ID == nil || e.Set != nil):
		return badInput(errors.New("delete goes with an id and nothing else"), `write {"id": "…", "delete": true}`)
	case e.ID == nil && e.Set == nil:
		return badInput(errors.New("it says nothing"), `write {"set": {…}} to create, with "id" to edit`)
	}
	return s.Update(ctx, func(tx *ankurah.Tx) error {
		switch {
		case e.Delete:
			return in.Delete(tx, *e.ID)
		case e.ID == nil:
			_, err := in.Create(tx, &fields)
			return err
		}
		m, err := in.Edit(tx, *e.ID)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if err := m.Set(key, fields[key]); err != nil {
				return err
			}
		}
		return nil
	})
}
