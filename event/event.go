package event

import (
	"errors"
	"strings"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/hex"
	"github.com/ankurah/ankurah-go/internal/sha256"
)

// Limits that a decoder enforces (S6, and the size table of the API).
const (
	MaxSize       = 1 << 20 // bytes of header, payload and annotations together
	MaxParents    = 64
	MaxOperations = 1024
	MaxName       = 128 // bytes of a collection, property or kind name
	MaxActor      = 256 // bytes of an actor
	MaxAuthor     = 64  // bytes of an author
)

// Formats of header bytes that this package reads and writes.
const (
	version = 1
	suite   = 1 // SHA-256, IDs from its first 64 bits
)

// ErrMalformed is wrapped by every error about an event that breaks a rule on
// its own, whatever the store holds.
var ErrMalformed = errors.New("malformed event")

// TxID identifies a transaction: 128 random bits.
type TxID [16]byte

// String returns t in hexadecimal.
func (t TxID) String() string { return hex.Encode(t[:]) }

// IsZero reports whether t is the zero ID, which no transaction has.
func (t TxID) IsZero() bool { return t == TxID{} }

// Digest is the SHA-256 of header bytes or of payload bytes.
type Digest [sha256.Size]byte

// Author is the node that made an event. Kind 1 is a node's own ID; others are
// reserved for keys.
type Author struct {
	Kind uint8
	Key  string // raw bytes
}

// AuthorNode is the kind of an [Author] whose key is a node ID.
const AuthorNode = 1

// NodeAuthor returns the author that is node n.
func NodeAuthor(n id.ID) Author { return Author{AuthorNode, string(n[:])} }

// String returns the node ID of a node author, else the kind's key in hex.
func (a Author) String() string {
	if a.Kind == AuthorNode && len(a.Key) == id.Size {
		return id.ID([]byte(a.Key)).String()
	}
	return hex.Encode(a.Key)
}

// Birth is the record that an entity ID is derived from (S5). Root, collection
// and author are those of the genesis event that carries it.
type Birth struct {
	Stamp id.Stamp
	Nonce [16]byte
}

// EntityID returns the ID of the entity that a genesis with this birth record
// creates. The hashed bytes are listed in docs/FORMAT.md.
func (b Birth) EntityID(root id.ID, collection string, author Author) id.ID {
	buf := make([]byte, 0, 160)
	buf = append(buf, root[:]...)
	buf = append(buf, byte(len(collection)))
	buf = append(buf, collection...)
	buf = append(buf, author.Kind, byte(len(author.Key)))
	buf = append(buf, author.Key...)
	buf = append(buf, b.Nonce[:]...)
	stamp := id.New(b.Stamp, [8]byte{})
	buf = append(buf, stamp[:8]...)
	sum := sha256.Sum256(buf)
	return id.New(b.Stamp, [8]byte(sum[:8]))
}

// Operation is one change of one property. An event holds at most one for each
// property and kind, sorted by property, then kind.
type Operation struct {
	Property string
	Kind     string // property kind, such as "lww"
	Version  uint64 // of the kind's operation encoding, 0 for the first
	Data     []byte // as the kind encodes it
}

// Compare orders operations by property, then kind.
func (o Operation) Compare(p Operation) int {
	if c := strings.Compare(o.Property, p.Property); c != 0 {
		return c
	}
	return strings.Compare(o.Kind, p.Kind)
}

// Header is the part of an event that its ID is made of.
type Header struct {
	Root       id.ID // the system; zero for the genesis of the system itself
	Entity     id.ID
	Collection string
	Parents    []id.ID // sorted, unique, 1 to 64; none for a genesis
	Author     Author
	Actor      string // the authenticated principal, "" when anonymous
	Tx         TxID
	Stamp      id.Stamp
	Payload    Digest
	Birth      *Birth // genesis events only
}

// Event is one immutable change of one entity. Its fields and what they point
// to must not be changed.
type Event struct {
	Header
	ID     id.ID
	Digest Digest // of the header bytes
	Ops    []Operation

	header, payload []byte
	annotations     []byte // fields beside them, which no ID covers
}

// HeaderBytes returns the bytes that were hashed; they must not be changed.
func (e *Event) HeaderBytes() []byte { return e.header }

// PayloadBytes returns the payload's bytes; they must not be changed.
func (e *Event) PayloadBytes() []byte { return e.payload }

// Size returns the bytes of header, payload and annotations.
func (e *Event) Size() int { return len(e.header) + len(e.payload) + len(e.annotations) }

// IsGenesis reports whether e creates its entity.
func (e *Event) IsGenesis() bool { return e.Birth != nil }

// Tip returns what a head holds of e.
func (e *Event) Tip() Tip { return Tip{e.ID, e.Digest} }

// New makes an event out of h and its operations. It sets h.Payload; the rest
// of h is the caller's. The operations must be sorted and unique; New takes
// ownership of them and of h.Parents. The salt is 16 random bytes that keep a
// redacted payload from being guessed by its digest.
func New(h Header, salt [16]byte, ops []Operation) (*Event, error) {
	b := appendPayload(make([]byte, 0, payloadSize(ops)+headerSize(&h)), salt, ops)
	payload := b[:len(b):len(b)]
	h.Payload = sha256.Sum256(payload)
	b = appendHeader(b, &h)
	header := b[len(payload):]
	e := &Event{Header: h, Ops: ops, header: header, payload: payload}
	e.Digest = sha256.Sum256(header)
	e.ID = id.New(h.Stamp, [8]byte(e.Digest[:8]))
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}
