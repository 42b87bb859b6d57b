package postgres_test

import (
	"context"
	"os"
	"testing"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// place is a database.
type place struct {
	url  string
	opts *postgres.Options
}

func (p place) Open() (storage.Engine, error) {
	e, err := postgres.Open(context.Background(), p.url, p.opts)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func TestEngine(t *testing.T) {
	pairs := 0
	if testing.Short() {
		pairs = 2000
	}
	storagetest.Run(t, storagetest.Config{New: func(t *testing.T) storagetest.Place { return place{url: pgtest.New(t)} }, Exclusive: true, Pairs: pairs})
}
