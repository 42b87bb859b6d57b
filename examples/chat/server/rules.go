package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/examples/chat/model"
	"github.com/ankurah/ankurah-go/policy"
)

// self is the server's own principal.
var self = policy.Principal{Subject: "server", Roles: []string{"server"}}

// rules says who may do what: everybody who has signed in reads everything, and
// writes what is theirs. :user is the ID of their [model.User].
func rules(people *directory) (policy.Agent, error) {
	const all, server, signedIn = "TRUE", "server", "*"
	theServer := policy.Rule{Role: server, Read: all, Write: all}
	return policy.Rules{
		Credentials: people.principal,
		Collections: map[string][]policy.Rule{
			"user":       {theServer, {Role: signedIn, Read: all}},
			"room":       {theServer, {Name: "only who made a room may change it", Role: signedIn, Read: all, Write: "creator = :user"}},
			"membership": {theServer, {Name: "people join and leave for themselves", Role: signedIn, Read: all, Write: "user = :user"}},
			"message":    {theServer, {Name: "only its author may change a message", Role: signedIn, Read: all, Write: "author = :user"}},
		},
	}.Agent()
}

// Longest texts, in characters.
const (
	maxMessage = 2000
	maxName    = 40
)

// lengths is a constraint, which holds whoever writes.
func lengths(_ context.Context, _, after *entity.State) error {
	switch after.Collection() {
	case "message":
		return length("a message", after.Value(model.MessageFieldText).Text(), maxMessage)
	case "room":
		return length("the name of a room", after.Value(model.RoomFieldName).Text(), maxName)
	case "user":
		return length("a name", after.Value(model.UserFieldName).Text(), maxName)
	}
	return nil
}

func length(what, text string, most int) error {
	n := utf8.RuneCountInString(text)
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New(what + " cannot be empty")
	case n > most:
		return fmt.Errorf("%s can have %d characters, this one has %d", what, most, n)
	}
	return nil
}
