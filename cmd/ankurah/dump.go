package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/dump"
)

// withEngine runs f on the engine of the store and closes it.
func (a *app) withEngine(create, readOnly bool, f func(e storage.Engine) error) error {
	if a.Server != "" {
		return usage(errors.New("--server does not go with work on a whole store"), "name the store with --data, on the server's machine")
	}
	e, err := a.openEngine(access{create: create, readOnly: readOnly})
	if errors.Is(err, ankurah.ErrStoreLocked) {
		return &failure{exitStore, "or copy it with ankurah backup, and work on the copy", err}
	}
	if err != nil {
		return err
	}
	err = f(e)
	if closing := e.Close(); err == nil {
		err = closing
	}
	return err
}

// totals is what a command on a whole store prints.
type totals struct {
	Store        string  `json:"store"`
	File         string  `json:"file,omitempty"`
	Entities     uint64  `json:"entities"`
	Events       uint64  `json:"events"`
	Transactions uint64  `json:"transactions"`
	Seconds      float64 `json:"seconds"`
}

func total(e storage.Engine, file string, n dump.Counts, begun time.Time) totals {
	return totals{e.Info().Location, file, n.Entities, n.Events, n.Transactions, time.Since(begun).Seconds()}
}

// tell prints what was done, with a format for the number of things.
func (t totals) tell(a *app, w io.Writer, format string) error {
	if a.JSON {
		b, err := marshal(t)
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	}
	_, err := fmt.Fprintf(w, format+" in %.1f s\n", count(int(t.Entities), "entity")+", "+count(int(t.Events), "event"), t.Seconds)
	return err
}

type dumpCommand struct {
	Quiet bool   `help:"Show no progress." short:"q"`
	Out   string `help:"File to write, - for the standard output." default:"-" placeholder:"FILE"`
}

// Run writes a dump. A file gets its name when the dump is whole.
func (c *dumpCommand) Run(a *app) error {
	return a.withEngine(false, true, func(e storage.Engine) error {
		out, told := a.out, a.err
		var f *os.File
		if c.Out != "-" {
			var err error
			if f, err = os.CreateTemp(filepath.Dir(c.Out), filepath.Base(c.Out)+".*.unfinished"); err != nil {
				return usage(err, "--out names a file in a folder that is there")
			}
			out, told = f, a.out
		} else if a.outTTY {
			return usage(errors.New("a dump is nothing for a terminal"), "name a file with --out, or send it on with | or >")
		}
		p := newProgress(a, 0, c.Quiet)
		begun := time.Now()
		n, err := dump.Write(a.ctx, e, out, &dump.Options{Progress: p.of("dumping")})
		p.end()
		if f != nil {
			err = errors.Join(err, finish(f, c.Out, err == nil))
		}
		if err != nil {
			return a.explainWhole(e, err, "dump it again")
		}
		return total(e, c.Out, n, begun).tell(a, told, "dumped %s")
	})
}

// finish gives a file its name when it is whole and on disk, and removes it
// otherwise.
func finish(f *os.File, name string, whole bool) error {
	var err error
	if whole {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil || !whole {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}

// explainWhole gives errors about whole stores and dumps their hints.
func (a *app) explainWhole(e storage.Engine, err error, again string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{exitInterrupted, again, errors.New("interrupted")}
	case errors.Is(err, dump.ErrEmpty):
		return missing("the store in "+e.Info().Location+" is empty", "import something first, or name another store with --data")
	case errors.Is(err, dump.ErrNotEmpty):
		return usage(err, "name a new folder with --data")
	case errors.Is(err, dump.ErrDamaged):
		return badInput(err, "")
	}
	return err
}

type restoreCommand struct {
	Quiet bool   `help:"Show no progress." short:"q"`
	In    string `help:"File to read, - for the standard input." default:"-" placeholder:"FILE"`
}

// Run restores a dump into a new store.
func (c *restoreCommand) Run(a *app) error {
	in, size := a.in, int64(0)
	if c.In != "-" {
		f, err := os.Open(c.In)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return usage(fmt.Errorf("there is no file %s", c.In), "name a dump, or - for what comes in")
		case err != nil:
			return err
		}
		defer f.Close()
		i, err := f.Stat()
		if err == nil && i.IsDir() {
			return usage(fmt.Errorf("%s is a folder", c.In), "name a dump; a backup is opened as it is, with --data")
		}
		if err == nil {
			size = i.Size()
		}
		in = f
	}
	// What is no dump at all should leave no trace.
	first := bufio.NewReader(in)
	if err := dump.Recognize(first); err != nil {
		return badInput(err, "")
	}
	return a.withEngine(true, false, func(e storage.Engine) error {
		p := newProgress(a, size, c.Quiet)
		begun := time.Now()
		n, err := dump.Restore(a.ctx, e, first, &dump.Options{Progress: p.of("restoring")})
		p.end()
		if err != nil {
			return a.explainWhole(e, err, "remove "+e.Info().Location+" and restore again")
		}
		return total(e, c.In, n, begun).tell(a, a.out, "restored %s")
	})
}

type verifyCommand struct {
	Quiet bool `help:"Show no progress." short:"q"`
}

// Run replays everything.
func (c *verifyCommand) Run(a *app) error {
	return a.withEngine(false, true, func(e storage.Engine) error {
		p := newProgress(a, 0, c.Quiet)
		begun := time.Now()
		found := 0
		n, err := dump.Verify(a.ctx, e, &dump.Options{Progress: p.of("verifying"), Damage: func(err error) {
			p.end()
			found++
			report(a.err, err)
		}})
		p.end()
		if err != nil && found == 0 {
			return a.explainWhole(e, err, "verify it again")
		}
		if err == nil {
			err = c.open(a, e) // which reads what belongs to the node
		}
		if err != nil {
			return err
		}
		return total(e, "", n, begun).tell(a, a.out, "verified %s: no difference")
	})
}

func (c *verifyCommand) open(a *app, e storage.Engine) error {
	node, err := ankurah.OpenNode(a.ctx, e, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return err
	}
	return node.Close()
}
