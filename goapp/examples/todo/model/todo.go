// Package model has what the todo list is made of.
package model

import "time"

//go:generate go tool ankurah-gen

// Todo is something to be done.
//
//ankurah:model
type Todo struct {
	Title   string
	Done    bool      `ankurah:",index"`
	AddedAt time.Time `ankurah:",index"`
}
