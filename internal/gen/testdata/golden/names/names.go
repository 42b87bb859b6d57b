// Package names has what the generated file would like to call its imports.
package names

import (
	root "github.com/ankurah/ankurah-go"
	v "time"
)

const schema = 1

func ankurah() int { return schema }

var time, x = ankurah(), 0

//ankurah:model
type Day struct {
	Date  v.Time `ankurah:",index"`
	Extra root.JSON
}
