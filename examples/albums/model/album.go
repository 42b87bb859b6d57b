// Package model holds the models of the albums example.
package model

import "github.com/ankurah/ankurah-go"

//go:generate go tool ankurah-gen

// Artist makes albums.
//
//ankurah:model
type Artist struct {
	Name string `ankurah:",index"`
}

// Album is a record by an [Artist].
//
//ankurah:model
type Album struct {
	Name   string
	Artist ankurah.Ref[Artist]
	Year   int32 `ankurah:",index"`
	Tags   []string
	Extra  ankurah.JSON
	Label  *string // optional
}
