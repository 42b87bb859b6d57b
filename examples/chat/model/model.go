// Package model holds the chat's models. The server, the node in the browser
// and, as generated TypeScript, the page all work with these.
package model

import (
	"time"

	"github.com/ankurah/ankurah-go"
)

//go:generate go tool ankurah-gen -ts ../src/models.gen.ts

// User is somebody who has signed in. Only the server creates users.
//
//ankurah:model
type User struct {
	Name string `ankurah:",index"`
}

// Room is where messages are.
//
//ankurah:model
type Room struct {
	Name    string
	Creator ankurah.Ref[User]
	Created time.Time
}

// Membership says that a user is in a room, and how far they have read there.
//
//ankurah:model
type Membership struct {
	Room ankurah.Ref[Room] `ankurah:",index"`
	User ankurah.Ref[User] `ankurah:",index"`
	Seen time.Time         // when the newest message was sent that they have seen
}

// Message is what somebody has said in a room.
//
//ankurah:model
//ankurah:index room, sent desc
type Message struct {
	Room   ankurah.Ref[Room]
	Author ankurah.Ref[User]
	Text   string
	Sent   time.Time
	Edited *time.Time // the last time that the text was changed
}

// All is what a node declares.
var All = []ankurah.AnyCollection{Users, Rooms, Memberships, Messages}
