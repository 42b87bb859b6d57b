package dump_test

import (
	"bytes"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/dump"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
)

func TestRoundTrip(t *testing.T) {
	ctx := t.Context()
	e := memory.New()
	n, err := ankurah.OpenNode(ctx, e, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.EnsureSystem(ctx); err != nil {
		t.Fatal(err)
	}
	s := n.Session(policy.Principal{Subject: "x"})
	albums := ankurah.Dynamic("album")
	err = s.Update(ctx, func(tx *ankurah.Tx) error {
		_, err := albums.Create(tx, &ankurah.Fields{"name": "a", "year": 3})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var b, c bytes.Buffer
	counts, err := dump.Write(ctx, e, &b, nil)
	t.Logf("%+v %v %d", counts, err, b.Len())
	p, err := pebble.Open(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	counts, err = dump.Restore(ctx, p, bytes.NewReader(b.Bytes()), nil)
	t.Logf("%+v %v", counts, err)
	_, err = dump.Write(ctx, p, &c, nil)
	t.Log(err, bytes.Equal(b.Bytes(), c.Bytes()))
	counts, err = dump.Verify(ctx, p, nil)
	t.Logf("%+v %v", counts, err)
	p.Close()
}
