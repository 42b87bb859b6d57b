package wire

// Code is what went wrong, in a word that keeps its meaning across versions
// (S61). A program that does not know one takes it for one that may pass.
type Code string

// Codes of refusals that are final (S28).
const (
	Denied     Code = "denied"
	Constraint Code = "constraint"
	Conflict   Code = "conflict"
	Malformed  Code = "malformed"
	Reserved   Code = "reserved"
	Schema     Code = "schema"
	TooLarge   Code = "too_large"
	Depends    Code = "depends" // on a transaction that was refused
)

// Codes of what may pass when it is tried again.
const (
	TooEarly        Code = "too_early"
	UnknownParent   Code = "unknown_parent"
	UnknownKind     Code = "unknown_kind"
	Unauthenticated Code = "unauthenticated"
	Overloaded      Code = "overloaded"
	Storage         Code = "storage"
	Closing         Code = "closing"
	Deadline        Code = "deadline"
	Internal        Code = "internal"
)

// Codes that end a connection or a request.
const (
	Version  Code = "version" // no common version of the protocol
	Update   Code = "update"  // the client's application is too old
	System   Code = "system"  // of another system
	NoSystem Code = "no_system"
	BadQuery Code = "query"
	NotFound Code = "not_found"
)

// Passes reports whether a request that failed with this code is worth trying
// again by itself.
func (c Code) Passes() bool {
	switch c {
	case Overloaded, Storage, Deadline, Internal:
		return true
	}
	return false
}

// Final reports whether a refusal with this code drops the transaction.
func (c Code) Final() bool {
	switch c {
	case Denied, Constraint, Conflict, Malformed, Reserved, Schema, TooLarge, Depends:
		return true
	}
	return false
}
