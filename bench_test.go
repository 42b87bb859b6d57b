package ankurah_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/local"
)

func pebbleSession(b *testing.B, noSync bool) *ankurah.Session {
	eng, err := pebble.Open(b.Context(), b.TempDir(), &pebble.Options{NoSync: noSync})
	if err != nil {
		b.Fatal(err)
	}
	return openNode(b, eng, nil).Session(policy.Principal{Subject: "bench"})
}

// One writer sets one register of one entity in each transaction.
func BenchmarkCommit(b *testing.B) {
	for _, noSync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%t/writers=1", !noSync), func(b *testing.B) {
			s := pebbleSession(b, noSync)
			id := create(b, s, ankurah.Fields{"name": "x", "year": 0})
			b.ReportAllocs()
			k := 0
			for b.Loop() {
				k++
				if err := setYear(b, s, id, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("sync=true/writers=64", func(b *testing.B) {
		s := pebbleSession(b, false)
		var n atomic.Int64
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			id := create(b, s, ankurah.Fields{"name": "x", "year": 0})
			for pb.Next() {
				if err := setYear(b, s, id, int(n.Add(1))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func setYear(b *testing.B, s *ankurah.Session, id ankurah.ID, k int) error {
	return s.Update(b.Context(), func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, id)
		if err != nil {
			return err
		}
		return e.Set("year", k)
	})
}

// A commit on a durable node until the callback of a client's live query.
func BenchmarkCommitToSubscriber(b *testing.B) {
	s := pebbleSession(b, true)
	id := create(b, s, ankurah.Fields{"name": "x", "year": 0})
	c := connectedClient(b, s.Node())
	q, err := albums.Query(b.Context(), c, "name = 'x'")
	if err == nil {
		err = q.WaitSynced(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	seen := make(chan struct{}, 16)
	q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { seen <- struct{}{} })
	<-seen
	b.ReportAllocs()
	k := 0
	for b.Loop() {
		k++
		if err := setYear(b, s, id, k); err != nil {
			b.Fatal(err)
		}
		<-seen
	}
	q.Close()
}

// A new client's live query of a thousand entities until it has them.
func BenchmarkSubscribe(b *testing.B) {
	s := pebbleSession(b, true)
	err := s.Update(b.Context(), func(tx *ankurah.Tx) error {
		for k := range 1000 {
			if _, err := albums.Create(tx, &ankurah.Fields{"name": "x", "year": k}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		q, err := albums.Query(b.Context(), connectedClient(b, s.Node()), "name = 'x'")
		if err == nil {
			err = q.WaitSynced(b.Context())
		}
		if err != nil || len(q.Rows()) != 1000 {
			b.Fatal(err, len(q.Rows()))
		}
		q.Close()
	}
}

func connectedClient(b *testing.B, server *ankurah.Node) *ankurah.Session {
	n, err := ankurah.OpenNode(b.Context(), memory.New(), nil)
	if err != nil {
		b.Fatal(err)
	}
	link := local.Dial(n, server, []byte("bench"))
	b.Cleanup(func() {
		link.Close()
		n.Close()
	})
	if err := errors.Join(link.WaitConnected(b.Context()), n.WaitReady(b.Context())); err != nil {
		b.Fatal(err)
	}
	return n.Session(policy.Principal{Subject: "bench"})
}

func BenchmarkGet(b *testing.B) {
	s := pebbleSession(b, true)
	id := create(b, s, ankurah.Fields{"name": "x", "year": 0})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := albums.Get(b.Context(), s, id); err != nil {
			b.Fatal(err)
		}
	}
}
