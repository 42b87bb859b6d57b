package postgres_test

import (
	"testing"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// synced starts a server whose commits wait for the disk.
func synced(b testing.TB) string {
	server, err := pgtest.Start(&pgtest.Options{Sync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Close(); err != nil {
			b.Error(err)
		}
	})
	return server.New(b)
}

func BenchmarkCommit(b *testing.B) {
	b.Run("alone", func(b *testing.B) { storagetest.BenchmarkCommit(b, open(b, synced(b), nil), false) })
	b.Run("indexed", func(b *testing.B) { storagetest.BenchmarkCommit(b, open(b, synced(b), nil), true) })
}

func BenchmarkReads(b *testing.B) { storagetest.BenchmarkReads(b, open(b, synced(b), nil), 100_000) }
