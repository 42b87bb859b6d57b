package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/term"

	"github.com/ankurah/ankurah-go"
)

type queryCmd struct {
	Collection string   `arg:"" help:"Collection to query."`
	Query      string   `arg:"" optional:"" help:"AnkQL; everything when left out."`
	Arg        []string `help:"Value for a ? of the query, in order." short:"a" sep:"none"`
	Count      bool     `help:"Print how many rows there are."`
}

func anyArgs(args []string) []any {
	out := make([]any, len(args))
	for k, a := range args {
		out[k] = a
	}
	return out
}

// Run prints the rows.
func (c *queryCmd) Run(ctx context.Context, g *cli) error {
	return g.open(ctx, func(s *ankurah.Session) error {
		if err := known(s, c.Collection); err != nil {
			return err
		}
		rows := ankurah.Dynamic(c.Collection)
		if c.Count {
			n, err := rows.Count(ctx, s, c.Query, anyArgs(c.Arg)...)
			if err == nil {
				fmt.Println(n)
			}
			return err
		}
		if g.JSON {
			for r, err := range rows.All(ctx, s, c.Query, anyArgs(c.Arg)...) {
				if err != nil {
					return err
				}
				if err := printJSON(object(r)); err != nil {
					return err
				}
			}
			return nil
		}
		all, err := rows.Fetch(ctx, s, c.Query, anyArgs(c.Arg)...)
		if err == nil {
			fmt.Print(table(all))
		}
		return err
	})
}

func object(r ankurah.Record) map[string]any {
	out := map[string]any{"id": r.ID().String()}
	for k, v := range r.Fields() {
		out[k] = v
	}
	return out
}

func printJSON(x any) error { return json.NewEncoder(os.Stdout).Encode(x) }

type watchCmd struct {
	Collection string   `arg:"" help:"Collection to watch."`
	Query      string   `arg:"" optional:"" help:"AnkQL; everything when left out."`
	Arg        []string `help:"Value for a ? of the query, in order." short:"a" sep:"none"`
	Feed       bool     `help:"Commit edits read from standard input, one JSON object a line: {\"id\": …, \"set\": {…}, \"delete\": true}; without id an entity is created. Ends with the input."`
}

// Run shows the rows and redraws them at each commit.
func (c *watchCmd) Run(ctx context.Context, g *cli) error {
	return g.open(ctx, func(s *ankurah.Session) error {
		if !c.Feed {
			if err := known(s, c.Collection); err != nil {
				return err
			}
		}
		q, err := ankurah.Dynamic(c.Collection).Query(ctx, s, c.Query, anyArgs(c.Arg)...)
		if err != nil {
			return err
		}
		draw := !g.JSON && term.IsTerminal(int(os.Stdout.Fd()))
		q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
			if draw {
				fmt.Print("\x1b[H\x1b[2J" + table(q.Rows()))
				return
			}
			for _, ch := range cs.Changes {
				r := ch.After
				if ch.Kind == ankurah.Removed {
					r = ch.Before
				}
				if !g.JSON {
					fmt.Println(ch.Kind, line(r))
				} else if err := printJSON(map[string]any{"change": ch.Kind.String(), "row": object(r)}); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		})
		if c.Feed {
			err = feed(ctx, s, c.Collection, os.Stdin)
		} else {
			<-ctx.Done()
		}
		// A last callback comes after all that waits.
		last := make(chan struct{})
		q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { close(last) })
		<-last
		q.Close()
		<-q.Done()
		return err
	})
}

// feed commits the edits that it reads, each line in its own transaction.
func feed(ctx context.Context, s *ankurah.Session, collection string, in *os.File) error {
	d := json.NewDecoder(in)
	d.UseNumber()
	for n := 1; d.More() && ctx.Err() == nil; n++ {
		var edit struct {
			ID     string
			Set    ankurah.Fields
			Delete bool
		}
		err := d.Decode(&edit)
		if err == nil {
			err = s.Update(ctx, func(tx *ankurah.Tx) error { return apply(tx, collection, edit.ID, edit.Set, edit.Delete) })
		}
		if err != nil {
			return fmt.Errorf("edit %d: %w", n, err)
		}
	}
	return nil
}

func apply(tx *ankurah.Tx, collection, id string, set ankurah.Fields, del bool) error {
	rows := ankurah.Dynamic(collection)
	for k, x := range set {
		if n, ok := x.(json.Number); ok {
			var err error
			if set[k], err = n.Int64(); err != nil {
				if set[k], err = n.Float64(); err != nil {
					return err
				}
			}
		}
	}
	if id == "" {
		_, err := rows.Create(tx, &set)
		return err
	}
	who, err := ankurah.ParseID(id)
	if err != nil {
		return err
	}
	e, err := rows.Edit(tx, who)
	if err != nil {
		return err
	}
	for k, x := range set {
		if err := e.Set(k, x); err != nil {
			return err
		}
	}
	if del {
		return e.Delete()
	}
	return nil
}

type historyCmd struct {
	ID         string `arg:"" help:"Entity."`
	Collection string `help:"Its collection; looked for when left out." short:"c"`
}

// Run prints the audit trail.
func (c *historyCmd) Run(ctx context.Context, g *cli) error {
	id, err := ankurah.ParseID(c.ID)
	if err != nil {
		return err
	}
	return g.open(ctx, func(s *ankurah.Session) error {
		names := s.Node().Collections()
		if c.Collection != "" {
			names = []string{c.Collection}
		}
		for _, name := range names {
			err := printHistory(ctx, s, name, id, g.JSON)
			if !errors.Is(err, ankurah.ErrNotFound) || len(names) == 1 {
				return err
			}
		}
		return &ankurah.NotFoundError{Collection: "entity", ID: id}
	})
}

func printHistory(ctx context.Context, s *ankurah.Session, collection string, id ankurah.ID, asJSON bool) error {
	for e, err := range ankurah.Dynamic(collection).History(ctx, s, id) {
		if err != nil {
			return err
		}
		if asJSON {
			changes := map[string]any{}
			for _, ch := range e.Changes {
				changes[ch.Key] = []any{ch.Before, ch.After}
			}
			if err := printJSON(map[string]any{"id": e.ID.String(), "time": e.Time, "kind": e.Kind, "actor": e.Actor, "author": e.Author, "tx": e.Tx.String(), "changes": changes}); err != nil {
				return err
			}
			continue
		}
		actor := e.Actor
		if actor == "" {
			actor = "anonymous"
		}
		fmt.Printf("%s  %s  %-8s  %s\n", e.Time.Format("2006-01-02 15:04:05.000"), e.ID, e.Kind, actor)
		for _, ch := range e.Changes {
			if e.Kind == ankurah.EventCreated {
				fmt.Printf("    %s = %v\n", ch.Key, ch.After)
			} else {
				fmt.Printf("    %s: %v -> %v\n", ch.Key, ch.Before, ch.After)
			}
		}
	}
	return nil
}

type explainCmd struct {
	Collection string   `arg:"" help:"Collection to query."`
	Query      string   `arg:"" optional:"" help:"AnkQL."`
	Arg        []string `help:"Value for a ? of the query, in order." short:"a" sep:"none"`
}

// Run prints the plan.
func (c *explainCmd) Run(ctx context.Context, g *cli) error {
	return g.open(ctx, func(s *ankurah.Session) error {
		if err := known(s, c.Collection); err != nil {
			return err
		}
		plan, err := ankurah.Dynamic(c.Collection).Explain(ctx, s, c.Query, anyArgs(c.Arg)...)
		if err == nil {
			fmt.Println(strings.TrimRight(plan, "\n"))
		}
		return err
	})
}

type versionCmd struct{}

// Run prints the version that the program was built from.
func (versionCmd) Run() error {
	version, revision := "development", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Println("ankurah " + version + revision)
	return nil
}
