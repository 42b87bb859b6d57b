// Package model holds the models of the cities example.
package model

//go:generate go tool ankurah-gen

// City is a place of GeoNames.
//
//ankurah:model
type City struct {
	Name     string
	Country  string // ISO 3166-1 alpha-2
	Lat      float64
	Lng      float64
	Admin1   string
	Admin2   string
	Visitors *int64
	// EditedAt is when the last visitors were counted, in microseconds since
	// 1970, by which the demonstration times itself.
	EditedAt *int64
}

// ImportNote says how far the import of a file is. It is written in the
// transactions of the rows, so that a stopped import neither loses nor doubles
// any.
//
//ankurah:model
type ImportNote struct {
	Digest string // SHA-256 of the file, in hexadecimal
	Rows   int64
}
