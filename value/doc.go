// Package value provides the typed values that properties hold and queries
// compare: their Go form, their order, their conversions, their encodings.
//
// A [Value] is an immutable scalar, JSON document, list of scalars, or null.
// [Compare] is the total order of rule S47; [AppendKey] is an encoding whose
// bytes have that order; [Append] and [Decode] are the wire and disk form.
package value
