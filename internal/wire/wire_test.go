package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

var update = flag.Bool("update", false, "write the golden file anew")

func at(n byte) (i id.ID) {
	for k := range i {
		i[k] = n
	}
	return i
}

func tips(ns ...byte) (h event.Head) {
	for _, n := range ns {
		h = append(h, event.Tip{ID: at(n), Digest: event.Digest{n, 1}})
	}
	return h
}

// samples are one message of each kind, and what is left out.
func samples() []Message {
	changes := []Change{
		{Collection: "album", Entity: at(1), Before: 3, Events: [][]byte{[]byte("one"), []byte("two")}, After: 5, Head: tips(4, 5)},
		{Collection: "album", Entity: at(2), After: 9, State: []byte("state")},
		{Collection: "artist", Entity: at(3), Removed: true},
	}
	groups := []Group{{Key: [][]byte{{0x20, 4}, {}}, State: []byte("state")}, {Key: [][]byte{{}}}, {State: []byte("all")}}
	return []Message{
		&Hello{Min: 1, Max: 2, Node: at(1), Incarnation: at(2), Root: at(3), Epoch: at(4), Now: 5, High: 6, Credential: []byte("secret"), Subject: "alice", App: 7},
		&Hello{Min: 1, Max: 1, Node: at(1), Incarnation: at(2)},
		&Reject{Code: Unauthenticated, Text: "who are you", Retry: 1000},
		&Query{ID: 1, Collection: "album", Text: "year > ?", Params: [][]byte{{0x20, 4}, {}}, Live: true, Count: true, Lenient: true, Known: []Known{{at(1), 1}, {at(2), 300}}},
		&Query{ID: 2, Collection: "album"},
		&Cancel{ID: 1},
		&Rows{ID: 1, Changes: changes, Result: []id.ID{at(2), at(1)}, Done: true},
		&Push{Changes: changes, Windows: []Window{{Query: 1, In: []id.ID{at(1)}, Out: []id.ID{at(2)}}, {Query: 2}}},
		&Push{},
		&Submit{Tx: event.TxID(at(9)), Events: [][]byte{[]byte("event")}, Requires: []Require{{"album", at(1), tips(1, 2)}, {"album", at(2), nil}}, After: []event.TxID{event.TxID(at(8))}},
		&Submit{Tx: event.TxID(at(9)), Events: [][]byte{[]byte("event")}, Again: true, Alone: true},
		&Ack{Tx: event.TxID(at(9)), Changes: changes, Windows: []Window{{Query: 1, In: []id.ID{at(1)}}}, More: true},
		&Refuse{Tx: event.TxID(at(9)), Code: Denied, Text: "no", Now: 12},
		&Sync{ID: 3},
		&Credential{Credential: []byte("token")},
		&Ping{N: 1},
		&Pong{N: 1},
		&Want{ID: 1, Collection: "album", Entities: []Known{{at(1), 0}}},
		&History{ID: 1, Collection: "album", Entity: at(1), After: 4},
		&Events{ID: 1, Events: [][]byte{[]byte("event")}, Done: true, Bases: []Base{{At: 0, State: []byte("state")}}},
		&Fail{ID: 1, Code: BadQuery, Text: "unknown field"},
		&Bye{Code: Closing, Text: "shutting down", Retry: 5},
		&Counted{ID: 1, N: 70000},
		&Describe{ID: 1, Collection: "album"},
		&Described{ID: 1, Models: [][]byte{[]byte("model")}},
		&Query{ID: 3, Collection: "album", Text: "SELECT COUNT(*) GROUP BY year", Live: true},
		&Groups{ID: 3, Groups: groups, Done: true},
		&Groups{ID: 3},
		&Push{Changes: changes[:1], Results: []Result{{Query: 3, Groups: groups}, {Query: 4}}},
		&Ack{Tx: event.TxID(at(9)), Held: true},
		&Ack{Tx: event.TxID(at(9)), More: true, Results: []Result{{Query: 3, Groups: groups}}},
	}
}

func TestMessagesComeBack(t *testing.T) {
	kinds := map[protowire.Number]bool{}
	for _, m := range samples() {
		kinds[m.kind()] = true
		frame := Append(nil, m)
		got, err := Decode(frame)
		if err != nil {
			t.Errorf("%T: %v", m, err)
			continue
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Errorf("%T:\n%s", m, d)
		}
		if !bytes.Equal(Append(nil, got), frame) {
			t.Errorf("%T is written with other bytes than were read", m)
		}
	}
	for k := range fresh {
		if !kinds[k] {
			t.Errorf("kind %d has no sample", k)
		}
	}
}

// S39: the encoding is pinned.
func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, m := range samples() {
		fmt.Fprintf(&b, "%T %s\n", m, hex.EncodeToString(Append(nil, m)))
	}
	const name = "testdata/wire.golden"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the wire format has changed:\n%s", d)
	}
}

func TestRefused(t *testing.T) {
	field := func(num protowire.Number, body ...byte) []byte {
		return append(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.BytesType), uint64(len(body))), body...)
	}
	ping := Append(nil, &Ping{N: 1})
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"empty":                       {nil, "no message"},
		"an unknown kind":             {field(99), "unknown field"},
		"two messages":                {append(ping, Append(nil, &Pong{N: 1})...), "two messages"},
		"a length beyond the end":     {[]byte{byte(kPing<<3 | 2), 200, 1}, "truncated"},
		"a field that is missing":     {field(kPing), "missing"},
		"a zero that is written":      {field(kPing, 8, 0), "left out"},
		"an unknown field":            {field(kPing, 8, 1, 16, 1), "unknown field"},
		"IDs cut in two":              {field(kRows, 8, 1, 26, 3, 1, 2, 3), "whole number of IDs"},
		"known entities out of order": {Append(nil, &Want{ID: 1, Collection: "a", Entities: []Known{{at(2), 1}, {at(1), 1}}}), "sorted"},
		"tips out of order":           {Append(nil, &Push{Changes: []Change{{Collection: "a", Entity: at(1), Head: tips(2, 1)}}}), "sorted"},
		"a truth value of two":        {field(kEvents, 8, 1, 24, 2), "1 or left out"},
		"above the limit":             {make([]byte, MaxFrame+1), "the limit is"},
	} {
		m, err := Decode(c.frame)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q", name, m, err, c.want)
		}
	}
}

func TestAnnotationsPass(t *testing.T) {
	body := protowire.AppendVarint(protowire.AppendTag([]byte{8, 1}, 1000, protowire.VarintType), 5)
	frame := append([]byte{byte(kPing<<3 | 2), byte(len(body))}, body...)
	if m, err := Decode(frame); err != nil || m.(*Ping).N != 1 {
		t.Errorf("%v, %v", m, err)
	}
}

// Every cut of a message is refused, and no flipped bit does harm.
func TestDamage(t *testing.T) {
	for _, m := range samples() {
		frame := Append(nil, m)
		for n := range frame {
			if _, err := Decode(frame[:n]); err == nil {
				t.Errorf("%T cut to %d of %d bytes is accepted", m, n, len(frame))
			}
			for bit := range 8 {
				damaged := bytes.Clone(frame)
				damaged[n] ^= 1 << bit
				_, _ = Decode(damaged)
			}
		}
	}
}

// Whatever is accepted is written and read again as the same.
func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		f.Add(Append(nil, m))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := Decode(frame)
		if err != nil {
			return
		}
		again, err := Decode(Append(nil, m))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, again); d != "" {
			t.Fatal(d)
		}
	})
}
