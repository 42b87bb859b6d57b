// Package typescript has what matters to TypeScript: kinds, comments, keys and
// references.
package typescript

import (
	"time"

	"github.com/ankurah/ankurah-go"
)

//go:generate go tool ankurah-gen -ts models.gen.ts

// Genre is what kind of music it is.
type Genre string

// Artist makes albums.
//
//ankurah:model
type Artist struct {
	Name  string
	Label *ankurah.Ref[Label]
}

// Label sells albums.
//
// It may be gone /* since long */.
//
//ankurah:model name=record_label
type Label struct {
	Name string
}

// Album is a record by an [Artist].
//
//ankurah:model
type Album struct {
	// Name is what stands on the cover.
	Name   string `ankurah:"title"`
	Artist ankurah.Ref[Artist]
	Guests []ankurah.Ref[Artist]
	Year   int32 // of the first edition
	// Plays counts.
	//
	// Nobody knows how.
	Plays    int64
	Length   time.Duration // from the first note to the last
	Genre    Genre         `ankurah:",enum=rock|pop|'hip hop',default=rock"`
	Mood     *string       `ankurah:",enum=sad|glad"`
	Rating   *float64
	Live     bool
	Tags     []string
	Cover    []byte
	Released time.Time
	BoughtAt *time.Time
	Extra    ankurah.JSON
	Notes    *ankurah.JSON
	Source   ankurah.ID
	UserIDs  []ankurah.ID
	Serial   int64 `ankurah:",default=9007199254740993"`
}
