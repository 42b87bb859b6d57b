package ankql

import (
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/protowire"
	"github.com/ankurah/ankurah-go/value"
)

// Fields of a cursor's message.
const (
	cursorKey protowire.Number = 1 // repeated: an encoded value
	cursorID  protowire.Number = 2 // 16 bytes
)

var cursorText = base64.RawURLEncoding.Strict()

// String returns the cursor as text that may stand in a URL and after AFTER:
// base64url of a message {1: the values of the key in order, 2: the ID}.
func (c *Cursor) String() string {
	var b, v []byte
	for _, k := range c.Key {
		v = value.Append(v[:0], k)
		b = protowire.AppendTag(b, cursorKey, protowire.BytesType)
		b = protowire.AppendBytes(b, v)
	}
	b = protowire.AppendTag(b, cursorID, protowire.BytesType)
	b = protowire.AppendBytes(b, c.ID[:])
	return cursorText.EncodeToString(b)
}

// ParseCursor reads the text that [Cursor.String] returns. It takes any text;
// its errors wrap [ErrCursor].
func ParseCursor(s string) (*Cursor, error) {
	b, err := cursorText.DecodeString(s)
	if err != nil {
		return nil, cursorError(s, "it is not base64url text")
	}
	c := &Cursor{}
	for {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, cursorError(s, "it is cut short or damaged")
		}
		field, m := protowire.ConsumeBytes(b[n:])
		if typ != protowire.BytesType || m < 0 {
			return nil, cursorError(s, "it is cut short or damaged")
		}
		b = b[n+m:]
		switch num {
		case cursorKey:
			v, err := value.Decode(field)
			if err == nil {
				err = value.Validate(v)
			}
			if err != nil {
				return nil, cursorError(s, "value "+strconv.Itoa(len(c.Key)+1)+" of its key is damaged")
			}
			c.Key = append(c.Key, v)
		case cursorID:
			c.ID, err = id.FromBytes(field)
			if err != nil {
				return nil, cursorError(s, "its ID is damaged")
			}
			if len(b) > 0 {
				return nil, cursorError(s, "something follows its end")
			}
			return c, nil
		default:
			return nil, cursorError(s, "it has an unknown field "+strconv.Itoa(int(num)))
		}
	}
}

func cursorError(s, why string) error {
	return &textError{msg: "ankurah: " + strconv.Quote(shorten(s)) + " is not a cursor: " + why, err: ErrCursor}
}

// textError is a message of its own that wraps a sentinel.
type textError struct {
	msg string
	err error
}

func (e *textError) Error() string { return e.msg }
func (e *textError) Unwrap() error { return e.err }

// cursorOf reads the argument of AFTER: a cursor or its text. Nil is the
// beginning.
func cursorOf(arg any) (*Cursor, error) {
	switch c := arg.(type) {
	case nil:
		return nil, nil
	case *Cursor:
		return c, nil
	case Cursor:
		return &c, nil
	case value.Value:
		switch c.Kind() {
		case value.KindNull:
			return nil, nil
		case value.KindString:
			return ParseCursor(c.Text())
		}
	case interface{ String() string }:
		return ParseCursor(c.String())
	}
	if v, err := value.FromGo(arg); err == nil && v.Kind() == value.KindString {
		return ParseCursor(v.Text())
	}
	return nil, errors.New("AFTER takes a cursor or its text")
}
