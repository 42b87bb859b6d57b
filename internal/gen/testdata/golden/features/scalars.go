// Package features has every type and every option.
package features

import (
	"encoding/json"
	"sync"
	t "time"

	ank "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/gen/testdata/people"
)

//go:generate go tool ankurah-gen

// Genre is a type of its own.
type Genre string

type (
	level  int8
	level2 level
	stamp  = t.Time
	blob   []byte
)

// Scalar has a field of each type.
//
//ankurah:model
type Scalar struct {
	Text     string
	Flag     bool
	I8       int8
	I16      int16
	I32      int32
	R        rune
	U8       uint8
	B        byte
	U16      uint16
	I        int
	I64      int64
	U32      uint32
	F32      float32
	F64      float64
	Bytes    []byte
	Blob     blob
	At       t.Time
	Stamp    stamp
	Born     people.Born
	Took     t.Duration
	Raw      json.RawMessage
	Owner    ank.ID
	Other    id.ID
	Self     ank.Ref[Scalar]
	Person   ank.Ref[people.Person]
	City     ank.Ref[people.City]
	Doc      ank.JSON
	Genre    Genre
	Level    (level2)
	Color    people.Color
	Score    people.Score
	One, Two uint16
}

// Optional has an optional field of each kind.
//
//ankurah:model
type Optional struct {
	Text   *string
	Flag   *bool
	Number *int8
	Big    *int
	Real   *float32
	Bytes  *[]byte
	At     *t.Time
	Owner  *ank.ID
	Self   *ank.Ref[Optional]
	Doc    *ank.JSON
	List   *[]Genre
	Color  *(people.Color)
}

// List has a list of each kind.
//
//ankurah:model
type List struct {
	Texts   []string
	Flags   []bool
	Small   []int8
	Bigs    []int
	Reals   []float32
	Blobs   [][]byte
	Times   []t.Time
	IDs     []ank.ID
	People  []ank.Ref[people.Person]
	Genres  []Genre
	Levels  []level
	Colors  []people.Color
	Unusual []blob
}

// Skips has fields that are not stored.
//
//ankurah:model
type Skips struct {
	Name       string
	sync.Mutex `ankurah:"-"`
	cache      map[string]*people.Person `ankurah:"-"`
	nested     struct {
		at   t.Time // a comment
		next *Skips
	} `ankurah:"-"`
	_    [0]func(t.Time, ...ank.ID) chan<- error `ankurah:"-"`
	a, b int                                     `ankurah:"-"`
}
