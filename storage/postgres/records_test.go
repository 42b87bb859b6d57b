package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/transport/local"
)

// S27, S29, S62: of two records of a transaction the first counts, whichever
// server writes it.
func TestSharedRecords(t *testing.T) {
	url := pgtest.New(t)
	shared := &postgres.Options{Shared: true}
	storagetest.Records(t, open(t, url, shared), open(t, url, shared))
}

// gated is an engine whose commits wait while gate is locked, and say so.
type gated struct {
	*postgres.Engine
	gate    sync.RWMutex
	waiting chan struct{}
}

func (h *gated) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	if !h.gate.TryRLock() {
		h.waiting <- struct{}{}
		h.gate.RLock()
	}
	defer h.gate.RUnlock()
	return h.Engine.Commit(ctx, b)
}

// denier lets nobody but the nodes themselves write.
type denier struct{ policy.Permissive }

func (denier) CheckWrite(policy.Principal, policy.Write) error {
	return &policy.DeniedError{Rule: "nothing more"}
}

// S29, S62: a server is about to store a transaction when its client moves on to
// another one, which refuses it. It is not stored then, and both servers go on.
func TestRefusedWhileAnotherStores(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	url := pgtest.New(t)
	one := &gated{Engine: open(t, url, &postgres.Options{Shared: true}), waiting: make(chan struct{}, 1)}
	first, err := ankurah.OpenNode(ctx, one, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	must(err)
	defer first.Close()
	must(first.EnsureSystem(ctx))
	second, err := ankurah.OpenNode(ctx, open(t, url, &postgres.Options{Shared: true}), &ankurah.NodeOptions{Durable: true, Policy: denier{}})
	must(err)
	defer second.Close()
	must(second.EnsureSystem(ctx))
	client, err := ankurah.OpenNode(ctx, memory.New(), nil)
	must(err)
	defer client.Close()
	link := local.Dial(client, first, []byte("alice"))
	must(client.WaitReady(ctx))
	create := func(n *ankurah.Node) *ankurah.Tx {
		t.Helper()
		tx := n.Session(policy.Principal{Subject: "alice"}).Begin()
		_, err := albums.Create(tx, &ankurah.Fields{"name": "x"})
		must(err)
		must(tx.Commit(ctx))
		return tx
	}
	must(create(client).Confirmed(ctx))

	one.gate.Lock()
	tx := create(client)
	<-one.waiting
	link.Close()
	link = local.Dial(client, second, []byte("alice"))
	defer link.Close()
	if err := tx.Confirmed(ctx); !errors.Is(err, ankurah.ErrDenied) {
		t.Errorf("the client is told %v", err)
	}
	one.gate.Unlock()
	create(first) // behind it
	rows, err := albums.Fetch(ctx, first.Session(policy.Principal{Subject: "alice"}), "")
	must(err)
	if len(rows) != 2 {
		t.Errorf("%d rows, want the one before and the one behind", len(rows))
	}
	for _, n := range []*ankurah.Node{first, second} {
		if _, stored, err := n.Committed(ctx, tx.ID()); stored || err != nil {
			t.Errorf("it is committed: %t, %v", stored, err)
		}
	}
}
