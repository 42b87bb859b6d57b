package main

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
)

type historyCommand struct {
	ID         string `arg:"" name:"id" help:"ID of the entity, as query prints it."`
	Collection string `help:"Collection that it is in. All are looked through when left out." placeholder:"NAME"`
}

// auditEvent is one event as --json prints it.
type auditEvent struct {
	Collection string        `json:"collection"`
	Entity     ankurah.ID    `json:"entity"`
	Event      ankurah.ID    `json:"event"`
	Parents    []ankurah.ID  `json:"parents,omitempty"`
	Time       time.Time     `json:"time"`
	Actor      string        `json:"actor"`
	Author     string        `json:"author"`
	Kind       string        `json:"kind"`
	Changes    []auditChange `json:"changes"`
}

type auditChange struct {
	Key    string `json:"key"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

func (c *historyCommand) Run(a *app) error {
	id, err := ankurah.ParseID(c.ID)
	if err != nil {
		return usage(errors.New(c.ID+" is no ID"), "IDs are 26 characters, as ankurah query prints them")
	}
	return a.with(false, func(s *store) error {
		name, err := c.find(a, s, id)
		if err != nil {
			return err
		}
		first := true
		for e, err := range ankurah.Dynamic(name).History(a.ctx, s.Session, id) {
			if err != nil {
				return err
			}
			if a.JSON {
				err = a.printJSON(audit(name, id, e))
			} else {
				if first {
					_, err = fmt.Fprintf(a.out, "%s %s\n", name, id)
					first = false
				}
				if err == nil {
					err = printEvent(a, e)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// find returns the collection that the entity is in.
func (c *historyCommand) find(a *app, s *store, id ankurah.ID) (string, error) {
	names := s.node.Collections()
	if c.Collection != "" {
		if _, err := s.known(c.Collection); err != nil {
			return "", err
		}
		names = []string{c.Collection}
	}
	for _, name := range names {
		next, stop := iter.Pull2(ankurah.Dynamic(name).History(a.ctx, s.Session, id))
		_, err, ok := next()
		stop()
		if ok && err == nil {
			return name, nil
		}
		if err != nil && !errors.Is(err, ankurah.ErrNotFound) {
			return "", err
		}
	}
	where := "any collection"
	if c.Collection != "" {
		where = c.Collection
	}
	return "", missing("there is no "+id.String()+" in "+where, "look for it with ankurah query COLLECTION")
}

func audit(name string, id ankurah.ID, e ankurah.Event) auditEvent {
	out := auditEvent{
		Collection: name, Entity: id, Event: e.ID, Parents: e.Parents, Time: e.Time,
		Actor: e.Actor, Author: e.Author, Kind: string(e.Kind), Changes: make([]auditChange, len(e.Changes)),
	}
	for k, c := range e.Changes {
		out.Changes[k] = auditChange{c.Key, jsonable(c.Before), jsonable(c.After)}
	}
	return out
}

// printEvent prints one event and below it what it changed.
func printEvent(a *app, e ankurah.Event) error {
	actor := plain(e.Actor)
	if actor == "" {
		actor = "nobody"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-8s  by %s  %s\n", e.Time.Format("2006-01-02 15:04:05.000Z"), e.Kind, actor, e.ID)
	width := 0
	for _, c := range e.Changes {
		width = max(width, textWidth(plain(c.Key)))
	}
	for _, c := range e.Changes {
		b.WriteString("    " + pad(plain(c.Key), width, false) + "  ")
		if e.Kind != ankurah.EventCreated {
			b.WriteString(plain(quoted(c.Before)) + " → ")
		}
		b.WriteString(plain(quoted(c.After)) + "\n")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
