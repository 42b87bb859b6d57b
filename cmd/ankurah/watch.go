package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
)

type watchCommand struct {
	selection
	Feed string `help:"Commit the edits in this file, - for what comes in, and end with them: {\"id\": …, \"set\": {…}} edits, without id creates, {\"id\": …, \"delete\": true} deletes." placeholder:"FILE"`
}

type changeSet = ankurah.ChangeSet[record]

func (c *watchCommand) Run(a *app) error {
	args, err := c.arguments()
	if err != nil {
		return err
	}
	var edits io.Reader
	switch c.Feed {
	case "":
	case "-":
		edits = a.in
	default:
		f, err := os.Open(c.Feed)
		if err != nil {
			return usage(err, "--feed names a file of edits, or - for what comes in")
		}
		defer f.Close()
		edits = f
	}
	return a.with(edits != nil, func(s *store) error {
		in := ankurah.Dynamic(c.Collection)
		if edits == nil {
			var err error
			if in, err = s.known(c.Collection); err != nil {
				return err
			}
		}
		ctx, stop := context.WithCancelCause(a.ctx)
		defer stop(nil)
		q, err := c.begin(ctx, a, s, in, args, stop)
		if err != nil {
			return err
		}
		defer q.Close()
		err = c.follow(ctx, a, s, in, q, edits)
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			return cause // showing failed
		}
		if errors.Is(err, context.Canceled) {
			err = nil // to be interrupted is how watching ends
		}
		q.Close()
		<-q.Done()
		if a.outTTY && !a.JSON {
			_, showCursor := fmt.Fprint(a.out, "\x1b[?25h")
			return errors.Join(err, showCursor)
		}
		return err
	})
}

// live is a live query or a live aggregate that is being watched.
type live interface {
	Close()
	Done() <-chan struct{}
	Err() error
}

// watched is one, and a way to hear when what it has to show now was shown.
type watched struct {
	live
	onChange func(f func())
}

// begin shows what the query selects now and from then on; stop hears of
// showing that failed.
func (c *watchCommand) begin(ctx context.Context, a *app, s *store, in collection, args []any, stop func(error)) (*watched, error) {
	if ankql.IsAggregate(c.Query) {
		q, err := in.QueryAggregate(ctx, s.Session, c.Query, args...)
		if err != nil {
			return nil, err
		}
		if err := q.WaitSynced(ctx); err != nil {
			q.Close()
			return nil, err
		}
		show := c.groupShower(a, q)
		q.OnChange(func(changes []ankurah.GroupChange) {
			if err := show(changes); err != nil {
				stop(err)
			}
		})
		return &watched{q, func(f func()) { q.OnChange(func([]ankurah.GroupChange) { f() }) }}, nil
	}
	q, err := in.Query(ctx, s.Session, c.Query, args...)
	if err != nil {
		return nil, err
	}
	if err := q.WaitSynced(ctx); err != nil {
		q.Close()
		return nil, err
	}
	show := c.shower(a, s, q)
	q.OnChange(func(cs changeSet) {
		if err := show(cs); err != nil {
			stop(err)
		}
	})
	return &watched{q, func(f func()) { q.OnChange(func(changeSet) { f() }) }}, nil
}

// follow commits the edits, if there are any, or waits for the end.
func (c *watchCommand) follow(ctx context.Context, a *app, s *store, in collection, q *watched, edits io.Reader) error {
	if edits == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.Done():
			return q.Err()
		}
	}
	err := feed(ctx, s, in, edits)
	shown := make(chan struct{})
	var once sync.Once
	// A new callback gets its first call after what the older one still has to
	// get.
	q.onChange(func() { once.Do(func() { close(shown) }) })
	select {
	case <-shown:
	case <-q.Done():
	}
	return err
}

// shower returns what shows change sets: JSON or text for each change, or the
// rows drawn anew on a terminal.
func (c *watchCommand) shower(a *app, s *store, q *ankurah.LiveQuery[record]) func(changeSet) error {
	switch {
	case a.JSON:
		return func(cs changeSet) error {
			for _, ch := range cs.Changes {
				err := a.printJSON(struct {
					Kind    string       `json:"kind"`
					ID      ankurah.ID   `json:"id"`
					Created bool         `json:"created,omitempty"`
					Before  object       `json:"before"`
					After   object       `json:"after"`
					Events  []ankurah.ID `json:"events,omitempty"`
				}{ch.Kind.String(), ch.ID(), ch.Created, object{ch.Before}, object{ch.After}, ch.Events})
				if err != nil {
					return err
				}
			}
			return nil
		}
	case a.outTTY:
		sc := &screen{a: a, title: strings.TrimSpace(c.Collection + " " + c.Query)}
		return func(cs changeSet) error {
			sc.count(cs)
			columns := withID(s.columns(c.Collection))
			var rows []row
			for _, r := range q.Rows() {
				rows = append(rows, entityRow(r, columns))
			}
			return sc.draw(rows, columns)
		}
	}
	return func(cs changeSet) error {
		for _, ch := range cs.Changes {
			if _, err := fmt.Fprintln(a.out, describe(ch)); err != nil {
				return err
			}
		}
		return nil
	}
}

// describe tells one change in a line.
func describe(ch ankurah.Change[record]) string {
	parts := []string{fmt.Sprintf("%-7s", ch.Kind), ch.ID().String()}
	r := ch.After
	if ch.Kind == ankurah.Removed {
		r = ch.Before
	}
	for _, key := range r.Keys() {
		now, _ := r.Get(key)
		switch {
		case ch.Kind == ankurah.Updated:
			was, _ := ch.Before.Get(key)
			if before, after := quoted(was), quoted(now); before != after {
				parts = append(parts, key+"="+before+"→"+after)
			}
		case now != nil:
			parts = append(parts, key+"="+quoted(now))
		}
	}
	return plain(strings.Join(parts, " "))
}

// screen draws a live table in place.
type screen struct {
	a       *app
	title   string
	lines   int // drawn before
	changes int
}

func (sc *screen) count(cs changeSet) {
	for _, ch := range cs.Changes {
		if ch.Kind != ankurah.Initial {
			sc.changes++
		}
	}
}

// draw replaces what was drawn before by the rows, as many as fit.
func (sc *screen) draw(rows []row, columns []string) error {
	width, height := sc.a.width()
	var body bytes.Buffer
	t := newTable(&body, columns, 40)
	shown := min(len(rows), max(1, height-5), tableAhead-1)
	for _, r := range rows[:shown] {
		if err := t.add(r); err != nil {
			return err
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	status := fmt.Sprintf("%s, %s so far — Ctrl-C ends", count(len(rows), "row"), count(sc.changes, "change"))
	if shown < len(rows) {
		status = fmt.Sprintf("the first %d of ", shown) + status
	}
	lines := append([]string{sc.title}, strings.Split(strings.TrimSuffix(body.String(), "\n"), "\n")...)
	lines = append(lines, status)
	var out strings.Builder
	out.WriteString("\x1b[?25l") // no cursor while drawing
	if sc.lines > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", sc.lines)
	}
	for _, l := range lines {
		out.WriteString("\r" + cut(plain(l), width-1) + "\x1b[K\n")
	}
	out.WriteString("\x1b[J\x1b[?25h")
	sc.lines = len(lines)
	_, err := io.WriteString(sc.a.out, out.String())
	return err
}
