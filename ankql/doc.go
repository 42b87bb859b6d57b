// Package ankql provides the query language: [Parse] reads text, [Bind] fits
// it to a model and its arguments, and one evaluator says which rows a bound
// [Selection] matches and how they are ordered. Engines, live queries and
// policies all ask this evaluator (S45, S48).
//
// # Language
//
//	name LIKE 'Origin%' AND (year > ? OR tags CONTAINS 'live') ORDER BY year DESC, name LIMIT 50
//
// From the loosest: OR, AND, NOT; then the comparisons
//
//	= != <> < <= > >=    x [NOT] IN (a, b)    x [NOT] BETWEEN a AND b
//	x [NOT] LIKE p       x [NOT] ILIKE p      x IS [NOT] NULL     x CONTAINS y
//
// which cannot be chained; then + and -, then * and /, then a sign. A path is a
// field, a field and keys into its JSON (`extra.label.city`), or `id`, the
// entity's ID. A path to a bool is a predicate by itself. Literals are TRUE,
// FALSE, NULL, integers, decimals and 'text'; parameters are ? and :name.
//
// Keywords are of any case. AND, OR, NOT, IN, IS, BETWEEN, LIKE, ILIKE,
// CONTAINS, NULL, TRUE and FALSE are reserved: a field of such a name is
// written in double quotes, as is one that is no word. The other keywords
// (ORDER, BY, LIMIT, AFTER, SELECT and so on) are fields wherever a field can stand.
// Behind a dot every word is a key, and so is an index into an array:
// `extra.tracks.0.title`.
//
// # Aggregates
//
//	SELECT COUNT(*), SUM(plays), MAX(year) WHERE published GROUP BY artist ORDER BY COUNT(*) DESC LIMIT 10
//
// An aggregate selection has one row for each group of rows with equal values
// under GROUP BY, or one row altogether without it. A row holds the values of
// GROUP BY, then those of the aggregates: COUNT(*) counts rows, COUNT, SUM, MIN,
// MAX and AVG take a path and pass over nulls. ORDER BY takes what is in a row;
// groups are ordered by their keys otherwise. The functions' names are no
// keywords.
//
// COUNT is an int64. SUM and AVG are computed exactly and rounded once, so that
// the order of rows does not matter: SUM is an int64 where every number is an
// integer and none is declared otherwise, else a float64; AVG is a float64. A
// sum that its type does not hold is null. MIN and MAX are values as they are
// stored, in the order of ORDER BY. Over no values COUNT is 0 and the others are
// null. Where the declared type of a path is not known, as in JSON, whole
// numbers are int64 (9.0 and 9 are one group), and SUM and AVG pass over what is
// no number.
//
// All of it may go through references: `SELECT COUNT(*), MAX(album.year) WHERE
// album.artist.name = 'Muse' GROUP BY album.name`. What a reference does not lead
// to is null.
//
// # Meaning
//
// Three-valued logic as in SQL: a missing value is null, a comparison with null
// is UNKNOWN, and a row matches where the predicate is TRUE. Literals take the
// declared type of what they are compared with when the query is bound. What
// stays of different classes (inside JSON, or with no model) is never equal: =
// is FALSE, != is TRUE, the ordering comparisons are UNKNOWN. LIKE, which is an
// = with wildcards, and CONTAINS are FALSE of operands of a wrong class. BETWEEN
// is what `x >= a AND x <= b` is. A bool alone means `= TRUE`.
//
// `x IN ()` is FALSE and `x NOT IN ()` TRUE, even of null. Integers divide
// toward zero; overflow, division by zero, and arithmetic on anything but
// numbers give null. In ORDER BY nulls come last ascending and first descending
// unless NULLS FIRST or NULLS LAST says otherwise.
//
// # Concurrency
//
// Queries, selections and their nodes are immutable, and safe for use by many
// goroutines at once.
package ankql
