// Ankurah-gen writes the code that stands beside model structs: for each model
// a view, a mutable, a collection variable and constants for its keys.
//
// Usage:
//
//	ankurah-gen [-check] [-o name] [-ts [file.ts]] [dir]
//
// A module names the command once in its go.mod, and a package asks for it in
// one of its files:
//
//	tool github.com/ankurah/ankurah-go/cmd/ankurah-gen
//
//	//go:generate go tool ankurah-gen
//
// The command reads the package in dir, the current folder by default, without
// its tests, and writes one file there, ankurah_gen.go. The same models always
// give the same file. With -check it writes nothing and fails if the file is
// not as it should be, which is for continuous integration. Errors come all at
// once, each with its place. The exit status is 1 after an error, 2 after a
// wrong flag.
//
// With -ts it writes a second file, for the pages of web/client: types of the
// models in TypeScript. See below. The command ankurah gen does the same.
//
// The command checks no types, so that a package may use names that are about
// to be generated.
//
// # Models
//
// A model is a struct type at package level with a directive right above it:
//
//	// Album is a record.
//	//
//	//ankurah:model
//	//ankurah:index artist, year desc
//	type Album struct {
//		Name   string
//		Artist ankurah.Ref[Artist]
//		Year   int32 `ankurah:",index"`
//		Genre  Genre `ankurah:",enum=rock|pop,default=rock"`
//		Tags   []string
//		Extra  ankurah.JSON
//		Label  *string // optional
//		cache  string `ankurah:"-"`
//	}
//
// It gives AlbumView with one getter for each field, AlbumMutable with one
// handle for each, the variable Albums, and constants such as AlbumFieldYear
// for the stored keys. The generated file stops compiling when the fields of
// the struct change, until the command has run again. Tags and directives the
// compiler does not see: -check does.
//
// Two options of the directive change names:
//
//	//ankurah:model name=record plural=Discography
//
// name is the collection, by default the model's name in snake case: BlogPost
// is blog_post. It is stored with the data and stays when the struct is
// renamed. plural is the collection variable, by default the English plural:
// BlogPosts, Companies, Boxes.
//
// # Keys
//
// A property is stored under a key, which is also its name in queries: the
// field's name in snake case. A run of capitals is one word and digits belong
// to the word before them: UserID is user_id, HTTPPort is http_port, and
// OAuth2Token is oauth2_token. A field whose Go name changes keeps its data
// when its tag keeps the key.
//
// Keys and collections do not begin with an underscore, and no key is id. No
// field is called Delete, Equal, Head, ID, IsZero, Mutable, Read, Ref,
// SameVersion, Snapshot or View, which views and mutables have already.
//
// # Types
//
//   - string, bool, int8 to int64, int, uint8 to uint32, float32, float64 and
//     []byte, and types declared as one of them, such as type Genre string or
//     time.Duration
//   - time.Time, in UTC with microseconds
//   - ankurah.ID, and ankurah.Ref[M] of a model of this or another package
//   - ankurah.JSON
//   - slices of the types above except JSON: []Genre, []time.Time
//   - pointers to any of these, which make the property optional: its getter
//     also reports whether there is a value, and its handle has Clear
//
// Everything else is an error that says what to use instead. Values of uint
// and uint64 may not fit the int64 that stores them. A struct inside a model
// is an ankurah.JSON or a model of its own.
//
// # Tags
//
// The tag `ankurah:"key,option,option"` of a field gives its key, which may be
// empty, and its options:
//
//	key=name      the key, like the first part
//	index         an index on this property
//	default=text  what the property reads as where it was never written
//	enum=a|b|c    the texts that the property accepts
//
// A default is for strings, bools, numbers and times; a time is written
// 2006-01-02 or 2006-01-02T15:04:05Z. Create writes every field that is not a
// pointer, so that defaults are read of entities older than the field, and of
// optional fields that Create found nil. A value that holds a comma or a bar
// stands in single quotes: default='red, dry'. Two of them inside stand for
// one.
//
// The tag `ankurah:"-"` keeps a field of any type out of the model; Snapshot
// leaves it zero. Unexported fields need it.
//
// # Indexes
//
// The directive //ankurah:index, which may come several times, declares an
// index on one or more columns: keys, or paths into a JSON property such as
// extra.genre, each in ascending order unless desc stands behind it. A word of
// a path that is not made of letters, digits and underscores stands in double
// quotes.
//
// # TypeScript
//
// The flag -ts names a file, which stands where the page's sources are:
//
//	//go:generate go tool ankurah-gen -ts ../web/src/models.gen.ts
//
// Alone it writes models.gen.ts into the folder of the package. For each model
// the file has an interface Album of what rows hold, AlbumInput of what
// entities are made of, where pointer fields may be left out, AlbumPatch of
// what edits change, and the value Album, which tells the client keys, kinds
// and what a missing property reads as. It makes the names "Album" and "album"
// known to the type checker, so that a query by name has typed rows too.
//
// Properties are the fields in camel case: UserID is userId. Comments come
// along. The types:
//
//   - numbers are number; those of 64 bits are Int64, a number up to 2⁵³ and a
//     bigint beyond
//   - string is string, with enum= a union of its texts; bool is boolean
//   - []byte is Uint8Array, time.Time a Date in milliseconds
//   - ankurah.Ref[Artist] is Ref<"Artist">, ankurah.ID is EntityId: texts that
//     are told apart by their model; "" where there is none
//   - ankurah.JSON is Json; slices are readonly arrays
package main
