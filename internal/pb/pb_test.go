package pb_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ankurah/ankurah-go/internal/pb"
)

// message is what the reader of these tests knows: a number (1), a text of at
// most 4 bytes (2), 3 bytes (3), 64 bits (4) and bytes that repeat (5). 1, 3
// and 4 are required.
type message struct {
	number   uint64
	text     string
	three    [3]byte
	fixed    uint64
	repeated [][]byte
	rest     []byte // what followed field 4
}

func read(b []byte) (m message, err error) {
	r := pb.NewReader("test", b)
	for r.Next() {
		switch r.Num {
		case 1:
			m.number = r.Uint64()
		case 2:
			m.text = r.Text(4)
		case 3:
			r.Fixed(m.three[:])
		case 4:
			m.fixed = r.Fixed64()
			m.rest = r.Rest()
		case 5:
			r.Repeated()
			m.repeated = append(m.repeated, r.Bytes())
		default:
			r.Unknown()
		}
	}
	r.Require(1, 3, 4)
	return m, r.Err()
}

// Parts of messages; a tag is the field number times 8 plus the wire type.
const (
	one      = "\x08\x07"    // 1: 7
	text     = "\x12\x02hi"  // 2: "hi"
	three    = "\x1a\x03abc" // 3: "abc"
	fixed    = "\x21\x01\x00\x00\x00\x00\x00\x00\x80"
	five     = "\x2a\x01x"
	fiveMore = "\x2a\x00"
	known    = one + text + three + fixed + five + fiveMore
	note     = "\xc0\x3e\x05"             // 1000: 5
	noteText = "\xc2\x3e\x02ok"           // 1000: "ok"
	note32   = "\xcd\x3e\x01\x02\x03\x04" // 1001: 32 bits
	note64   = "\xc9\x3e\x01\x02\x03\x04\x05\x06\x07\x08"
	greatest = "\xf8\xff\xff\xff\x0f\x01" // 536870911: 1
)

func TestReads(t *testing.T) {
	m, err := read([]byte(known))
	if err != nil || m.number != 7 || m.text != "hi" || string(m.three[:]) != "abc" || m.fixed != 1<<63+1 ||
		len(m.repeated) != 2 || string(m.repeated[0]) != "x" || len(m.repeated[1]) != 0 || string(m.rest) != five+fiveMore {
		t.Fatalf("%+v, %v", m, err)
	}
	m, err = read([]byte("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + three + fixed))
	if err != nil || m.number != math.MaxUint64 || m.text != "" || m.repeated != nil {
		t.Fatalf("the greatest number: %+v, %v", m, err)
	}
	var r = pb.NewReader("empty", nil)
	if r.Next() || r.Err() != nil {
		t.Fatalf("an empty message: %v", r.Err())
	}
}

// S2: a reader accepts one encoding only, and says what is wrong and where.
func TestStrict(t *testing.T) {
	for name, c := range map[string]struct{ b, want string }{
		"number with a superfluous byte": {"\x08\x87\x00" + three + fixed, "test, field 1 at byte 1: number not in its shortest form"},
		"zero in two bytes":              {"\x08\x80\x00" + three + fixed, "shortest"},
		"tag with a superfluous byte":    {"\x88\x00\x07" + three + fixed, "test, field 0 at byte 0: number not in its shortest form"},
		"length with a superfluous byte": {one + "\x1a\x83\x00abc" + fixed, "test, field 3 at byte 3: number not in its shortest form"},
		"number of 11 bytes":             {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "oversized"},
		"number of 65 bits":              {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "oversized"},
		"number that does not end":       {"\x08\x87", "truncated"},
		"no number":                      {"\x08", "test, field 1 at byte 1: truncated or oversized number"},
		"tag that does not end":          {one + three + fixed + "\xc0", "truncated"},
		"field 0":                        {"\x00\x07", "bad field number"},
		"field 2^29":                     {one + three + fixed + "\x80\x80\x80\x80\x10\x01", "bad field number"},
		"field beyond 32 bits":           {one + three + fixed + "\x80\x80\x80\x80\x80\x80\x01\x01", "bad field number"},
		"field twice":                    {one + one + three + fixed, "field 1 is repeated or out of order"},
		"fields out of order":            {three + one + fixed, "test, field 3 at byte 6: field 1 is repeated or out of order"},
		"repeated, interrupted":          {known + note + five, "field 5 is repeated or out of order"},
		"wrong wire type, number":        {"\x0a\x01\x07" + three + fixed, "wrong wire type 2"},
		"wrong wire type, text":          {one + "\x10\x07" + three + fixed, "wrong wire type 0"},
		"wrong wire type, 3 bytes":       {one + "\x18\x07" + fixed, "wrong wire type 0"},
		"wrong wire type, 64 bits":       {one + three + "\x20\x01", "wrong wire type 0"},
		"32 bits for 64":                 {one + three + "\x25\x01\x02\x03\x04", "wrong wire type 5"},
		"wire type 7":                    {"\x0f\x07", "wrong wire type 7"},
		"text too long":                  {one + "\x12\x05hello" + three + fixed, "5 bytes where 4 are allowed"},
		"bytes of another length":        {one + "\x1a\x02ab" + fixed, "2 bytes where 3 are due"},
		"length beyond the end":          {one + "\x1a\x03ab", "truncated"},
		"length of nearly 2^64":          {one + "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01ab", "truncated"},
		"length of 2^63":                 {one + "\x1a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01ab", "truncated"},
		"7 bytes for 64 bits":            {one + three + "\x21\x01\x02\x03\x04\x05\x06\x07", "truncated"},
		"nothing":                        {"", "test, field 0 at byte 0: field 1 is missing"},
		"the first field is missing":     {three + fixed, "field 1 is missing"},
		"the last field is missing":      {one + text + three + five, "field 4 is missing"},
		"unknown field 6":                {known + "\x30\x01", "test, field 6 at byte 26: unknown field"},
		"unknown field 999":              {known + "\xb8\x3e\x01", "unknown field"},
		"annotation in long form":        {known + "\xc0\x3e\x85\x00", "shortest"},
		"annotations out of order":       {known + note32 + note, "out of order"},
		"annotation truncated, number":   {known + "\xc0\x3e", "truncated"},
		"annotation truncated, text":     {known + "\xc2\x3e\x02o", "truncated"},
		"annotation truncated, 32 bits":  {known + "\xcd\x3e\x01\x02\x03", "truncated"},
		"annotation truncated, 64 bits":  {known + "\xc9\x3e\x01\x02\x03\x04\x05\x06\x07", "truncated"},
		"a group as annotation":          {known + "\xc3\x3e\xc4\x3e", "groups are not allowed"},
		"the end of a group":             {known + "\xc4\x3e", "groups are not allowed"},
		"wire type 6 as annotation":      {known + "\xc6\x3e", "not allowed"},
	} {
		m, err := read([]byte(c.b))
		var e *pb.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want %q in the error", name, m, err, c.want)
		}
	}
}

// S2: a field of the future below 1000 is told apart from damage; one from
// 1000 on is passed over, however often it comes.
func TestUnknownFields(t *testing.T) {
	for _, b := range []string{known + "\x30\x01", known + "\xb8\x3e\x01", known + "\x32\x00", known + "\x33"} {
		if _, err := read([]byte(b)); !errors.Is(err, pb.ErrUnknownField) {
			t.Errorf("%q: %v", b, err)
		}
	}
	for _, notes := range []string{note, note + note, note + noteText, note32 + note64, note + note32 + greatest, greatest + greatest} {
		m, err := read([]byte(known + notes))
		if err != nil || string(m.rest) != five+fiveMore+notes {
			t.Errorf("annotations %q: %+v, %v", notes, m, err)
		}
	}
	if _, err := read([]byte("\x0a\x00")); errors.Is(err, pb.ErrUnknownField) {
		t.Errorf("a wrong wire type counts as an unknown field: %v", err)
	}
}

// Whatever a reader does after an error, it gets nothing, and the error that
// came first stays.
func TestErrorsLast(t *testing.T) {
	r := pb.NewReader("test", []byte(one+three+fixed+five))
	if !r.Next() || r.Uint64() != 7 {
		t.Fatal(r.Err())
	}
	r.Fail("the first")
	first := r.Err()
	r.Fail("the second")
	r.FailWith(errors.New("the third"))
	r.Require(9)
	var dst [3]byte
	r.Fixed(dst[:])
	r.Unknown()
	if r.Next() || r.Uint64() != 0 || r.Fixed64() != 0 || r.Bytes() != nil || r.Text(9) != "" || dst != [3]byte{} || r.Err() != first {
		t.Fatalf("after an error: %v", r.Err())
	}
	if want := "test, field 1 at byte 2: the first"; first.Error() != want {
		t.Errorf("error %q, want %q", first, want)
	}
	wrapped := errors.New("inner")
	r = pb.NewReader("test", nil)
	if r.FailWith(wrapped); !errors.Is(r.Err(), wrapped) {
		t.Errorf("%v does not wrap its cause", r.Err())
	}
}

// A field whose value the reader forgot is a bug that shows; a value is read
// once.
func TestValuesAreReadOnce(t *testing.T) {
	r := pb.NewReader("test", []byte(one+three))
	if r.Next(); r.Next() || r.Err() == nil || !strings.Contains(r.Err().Error(), "was not read") {
		t.Errorf("a value that was not read: %v", r.Err())
	}
	r = pb.NewReader("test", []byte(one+three))
	if r.Next(); r.Uint64() != 7 || r.Uint64() != 0 || r.Bytes() != nil {
		t.Error("a value can be read twice")
	}
	if r.Unknown(); !r.Next() || string(r.Bytes()) != "abc" || r.Next() || r.Err() != nil {
		t.Errorf("the next field: %v", r.Err())
	}
}

// S39: what a message says of its length allocates nothing, and bytes alias the
// message without reaching beyond the field.
func TestBytesAlias(t *testing.T) {
	huge := append([]byte("\x0a"), protowire.AppendVarint(nil, 1<<40)...)
	for _, b := range [][]byte{huge, append(huge, make([]byte, 100)...)} {
		var got []byte
		allocs := testing.AllocsPerRun(10, func() {
			r := pb.NewReader("test", b)
			r.Next()
			got = r.Bytes()
		})
		if got != nil || allocs > 8 {
			t.Errorf("a length of 2^40 in %d bytes: %d bytes, %v allocations", len(b), len(got), allocs)
		}
	}
	b := []byte("\x0a\x03abc\x12\x01d")
	r := pb.NewReader("test", b)
	r.Next()
	field := r.Bytes()
	if &field[0] != &b[2] || cap(field) != 3 {
		t.Errorf("bytes %q have room for %d", field, cap(field))
	}
}

func TestAppend(t *testing.T) {
	b := pb.AppendUint64(nil, 1, 7)
	b = pb.AppendBytes(b, 2, "hi")
	b = pb.AppendBytes(b, 3, []byte("abc"))
	b = pb.AppendUint64(b, 4, 0)
	b = pb.AppendBytes(b, 5, "x")
	b = pb.AppendBytes(b, 5, "")
	if want := one + text + three + five + fiveMore; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}

// walk reads a message of any fields: field n holds a number, bytes or 64 bits
// as n%3 says. It returns the canonical encoding of what it read, annotations
// as they came.
func walk(b []byte) ([]byte, error) {
	var out []byte
	r := pb.NewReader("any", b)
	for before := r.Rest(); r.Next(); before = r.Rest() {
		switch {
		case r.Num >= pb.Annotation:
			r.Unknown()
			out = append(out, before[:len(before)-len(r.Rest())]...)
		case r.Num%3 == 0:
			out = protowire.AppendTag(out, protowire.Number(r.Num), protowire.VarintType)
			out = protowire.AppendVarint(out, r.Uint64())
		case r.Num%3 == 1:
			r.Repeated()
			out = pb.AppendBytes(out, r.Num, r.Bytes())
		default:
			out = protowire.AppendTag(out, protowire.Number(r.Num), protowire.Fixed64Type)
			out = protowire.AppendFixed64(out, r.Fixed64())
		}
	}
	return out, r.Err()
}

// wellFormed says the same by the rules and the protobuf library.
func wellFormed(b []byte) bool {
	last := protowire.Number(0)
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || n != protowire.SizeTag(num) || num > protowire.MaxValidNumber || num < last {
			return false
		}
		want := [...]protowire.Type{protowire.VarintType, protowire.BytesType, protowire.Fixed64Type}[num%3]
		switch {
		case num == last && num < pb.Annotation && num%3 != 1, num < pb.Annotation && typ != want,
			typ == protowire.StartGroupType, typ == protowire.EndGroupType:
			return false
		}
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			return false
		}
		switch value := b[n : n+m]; typ {
		case protowire.VarintType:
			if v, _ := protowire.ConsumeVarint(value); m != protowire.SizeVarint(v) {
				return false
			}
		case protowire.BytesType:
			if v, _ := protowire.ConsumeBytes(value); m != protowire.SizeBytes(len(v)) {
				return false
			}
		}
		last, b = num, b[n+m:]
	}
	return true
}

// check holds the reader against wellFormed, and what it accepts against what
// it would write.
func check(t *testing.T, b []byte) bool {
	t.Helper()
	out, err := walk(b)
	if (err == nil) != wellFormed(b) {
		t.Fatalf("%x: %v, the rules say %v", b, err, wellFormed(b))
	}
	if err == nil && !bytes.Equal(out, b) {
		t.Fatalf("%x is written as %x", b, out)
	}
	return err == nil
}

// S2: whatever is accepted has no other encoding.
func FuzzReader(f *testing.F) {
	for _, b := range []string{"", known, known + note + note32, "\x0a\x01a\x0a\x00\x11\x01\x02\x03\x04\x05\x06\x07\x08\x18\x05", "\x88\x00\x07", greatest} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) { check(t, b) })
}

// The same on random messages and messages with small damage.
func TestReaderAgainstTheRules(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{note, noteText, note32, note64, greatest, "\x0a\x01a", "\x0a\x00", "\x11\x01\x02\x03\x04\x05\x06\x07\x08", "\x18\x05", "\x18\x80\x01", "\x22\x03abc", "\x29\x01\x02\x03\x04\x05\x06\x07\x08", "\x30\x00"}
	accepted := 0
	const rounds = 60_000
	for range rounds {
		picked := make([]int, r.IntN(5))
		for k := range picked {
			picked[k] = r.IntN(len(parts))
		}
		if r.IntN(3) > 0 {
			slices.SortFunc(picked, func(a, b int) int { // mostly in order of fields
				x, _, _ := protowire.ConsumeTag([]byte(parts[a]))
				y, _, _ := protowire.ConsumeTag([]byte(parts[b]))
				return int(x - y)
			})
		}
		var b []byte
		for _, k := range picked {
			b = append(b, parts[k]...)
		}
		if len(b) > 0 && r.IntN(2) == 0 {
			switch k := r.IntN(len(b)); r.IntN(3) {
			case 0:
				b[k] ^= 1 << r.IntN(8)
			case 1:
				b = b[:k]
			default:
				b = slices.Insert(b, k, byte(r.IntN(256)))
			}
		}
		if check(t, b) {
			accepted++
		}
	}
	if accepted < rounds/10 || accepted > rounds*9/10 {
		t.Errorf("%d of %d messages were accepted: the generator proves little", accepted, rounds)
	}
}
