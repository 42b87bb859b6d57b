// Package people stands for a package of another team: its models and types
// are used by the golden packages.
package people

import "time"

// Person has a collection name of its own.
//
//ankurah:model name=human plural=People
type Person struct{ Name string }

// City has the usual one.
//
//ankurah:model
type City struct{ Name string }

// Color is a text.
type Color string

type (
	// Score is a number by way of another type.
	Score points

	points int16

	// Born is an alias.
	Born = time.Time
)
