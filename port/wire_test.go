package port

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

var rewrite = flag.Bool("update", false, "write the golden file anew")

func at(n byte) (i id.ID) {
	for k := range i {
		i[k] = n
	}
	return i
}

func mustJSON(text string) value.Value {
	v, err := value.ParseJSON(text)
	if err != nil {
		panic(err)
	}
	return v
}

func raw(v value.Value) []byte { return value.Append(nil, v) }

// everything has a value of each kind.
func everything() []value.Value {
	return []value.Value{
		value.Null, value.String("grüße"), value.Bool(true), value.Bool(false), value.Int32(-7), value.Int64(1 << 53), value.Int64(-1 << 63),
		value.Float64(-2.5), value.Bytes([]byte{0, 255}), value.Time(time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)), value.ID(at(9)),
		mustJSON(`{"a":[1,2.5,"x",null,true]}`), value.List(value.KindString, []value.Value{value.String("a"), value.String("")}),
		value.List(value.KindInt64, nil),
	}
}

// samples are messages of each kind, and what is left out.
func samples() []message {
	var args []arg
	var fields []column
	var writes []field
	for k, v := range everything() {
		args = append(args, arg{value: raw(v)})
		if !v.IsNull() {
			fields = append(fields, column{uint64(k), v})
		}
		writes = append(writes, field{key: "f" + fmt.Sprint(k), value: raw(v)})
	}
	return []message{
		&hello{min: 1, max: 2, credential: []byte("secret"), app: 3},
		&hello{min: 1, max: 1},
		&open{query: 1, collection: "album", text: "year > ? AND name = :name", args: []arg{{value: raw(value.Int64(1980))}, {"name", raw(value.String("x"))}}},
		&open{query: 2, collection: "Album"},
		&open{query: 300, collection: "album", text: "every ?", args: args},
		&closeQuery{query: 1},
		&more{query: 1, rows: 50},
		&commit{tx: event.TxID(at(7)), ops: []op{
			{kind: opCreate, collection: "artist", fields: []field{{key: "name", value: raw(value.String("Muse"))}}},
			{kind: opCreate, collection: "album", fields: []field{{key: "artist", made: 1}}},
			{kind: opEdit, collection: "album", entity: at(1), fields: writes},
			{kind: opDelete, collection: "album", entity: at(2)},
			{kind: opRestore, collection: "album", entity: at(3)},
		}},
		&commit{tx: event.TxID(at(7))},
		&took{}, &ping{}, &pong{},
		&welcome{version: 1},
		&bye{code: "version", text: "no common version"},
		&bye{code: "closing"},
		&update{},
		&update{parts: []part{
			{query: 1, reset: true, keys: []string{"name", "year"}, synced: syncedNo, rows: []row{
				{id: at(1), place: 1, fields: []column{{0, value.String("a")}, {1, value.Int32(1990)}}},
				{id: at(2), place: 2},
			}},
			{query: 2, gone: []id.ID{at(3), at(4)}, rows: []row{{id: at(5), place: 300, kept: true}, {id: at(6)}}, synced: syncedYes},
			{query: 3, code: "query", text: "unknown field"},
			{query: 4, columns: []string{"artist", "COUNT(*)"}, groups: []group{{value.ID(at(1)), value.Int64(3)}, {value.Null, value.Int64(1)}}},
			{query: 5, columns: []string{"COUNT(*)"}},
		}, follows: true},
		&update{parts: []part{{query: 6, keys: strings.Split("abcdefghijklmn", ""), rows: []row{{id: at(1), place: 1, fields: fields}}}}},
		&ack{tx: event.TxID(at(7)), created: []id.ID{at(1), at(2)}, confirmed: true},
		&ack{tx: event.TxID(at(7))},
		&refuse{tx: event.TxID(at(7)), code: "denied", text: "no"},
		&state{durable: true, connected: true, pending: 3, subject: "alice", system: at(8)},
		&state{},
	}
}

const golden = "testdata/frames.golden"

// S39: the format of every message is pinned. The TypeScript client reads the
// same file.
func TestGoldenFrames(t *testing.T) {
	var b strings.Builder
	for _, m := range samples() {
		name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*port.")
		fmt.Fprintf(&b, "%s %s\n", name, hex.EncodeToString(appendFrame(nil, m)))
	}
	if *rewrite {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestFramesRoundTrip(t *testing.T) {
	for _, m := range samples() {
		frame := appendFrame(nil, m)
		got, err := decodeFrame(frame)
		if err != nil {
			t.Errorf("%T: %v", m, err)
			continue
		}
		if again := appendFrame(nil, got); !bytes.Equal(again, frame) {
			t.Errorf("%T: %x became %x", m, frame, again)
		}
		for k := range frame {
			if m, err := decodeFrame(frame[:k]); err == nil {
				t.Errorf("%d of %d bytes of %T are a message", k, len(frame), m)
			} else if !errors.Is(err, errMalformed) {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, frame := range map[string][]byte{
		"nothing":                    {},
		"an unknown message":         {0x7a, 0},
		"two messages":               {0x32, 0, 0x3a, 0},
		"an unknown field":           {0x0a, 6, 8, 1, 16, 1, 40, 1},
		"no version":                 {0x0a, 2, 8, 1},
		"a zero transaction":         appendFrame(nil, &commit{}),
		"a creation with an ID":      appendFrame(nil, &commit{tx: event.TxID{1}, ops: []op{{kind: opCreate, collection: "a", entity: at(1)}}}),
		"an edit of nothing":         appendFrame(nil, &commit{tx: event.TxID{1}, ops: []op{{kind: opEdit, collection: "a"}}}),
		"a deletion with properties": appendFrame(nil, &commit{tx: event.TxID{1}, ops: []op{{kind: opDelete, collection: "a", entity: at(1), fields: []field{{key: "x"}}}}}),
		"an unknown operation":       appendFrame(nil, &commit{tx: event.TxID{1}, ops: []op{{kind: 9, collection: "a", entity: at(1)}}}),
		"a long query":               appendFrame(nil, &open{query: 1, collection: "a", text: strings.Repeat("x", maxText+1)}),
		"half an ID":                 {0x62, 24, 10, 16, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 18, 4, 1, 2, 3, 4},
	} {
		if m, err := decodeFrame(frame); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %#v, %v", name, m, err)
		}
	}
}

// S39: whatever comes, decoding ends in a message or an error, and what it
// takes for a message it also writes.
func FuzzFrame(f *testing.F) {
	for _, m := range samples() {
		f.Add(appendFrame(nil, m))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := decodeFrame(frame)
		if err != nil {
			return
		}
		once := appendFrame(nil, m)
		again, err := decodeFrame(once)
		if err != nil {
			t.Fatalf("%x: %v", once, err)
		}
		if twice := appendFrame(nil, again); !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x", once, twice)
		}
	})
}
