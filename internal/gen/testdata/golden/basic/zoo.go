// Package basic has the models that most applications have.
package basic

import "github.com/ankurah/ankurah-go"

// Keeper looks after animals.
//
//ankurah:model
type Keeper struct {
	Name string `ankurah:",index"`
}

// Animal lives in the zoo.
//
// It has a [Keeper], at most times.
//
//ankurah:model
//ankurah:index keeper, name desc
type Animal struct {
	// Name is what visitors call the animal.
	Name   string
	Keeper ankurah.Ref[Keeper]
	Legs   int32
	// Nick is what keepers call it.
	//
	// Visitors never see it.
	Nick *string // optional
	Wild bool    // caught, not born here
}
