package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel returns the name of what commits to a shared store are told on. The
// names of schemas are their own, channels are the whole database's.
func (e *Engine) channel() string {
	sum := sha256.Sum256([]byte(e.schema))
	return "ankurah_" + hex.EncodeToString(sum[:8])
}

// Watch calls news after commits of other processes, and after each time that it
// could not hear of them, until ctx ends.
func (e *Engine) Watch(ctx context.Context, news func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if conn, err := e.connect(ctx); err == nil {
			if e.listen(ctx, conn, news) {
				wait = 10 * time.Millisecond
			}
			end, cancel := context.WithTimeout(context.Background(), pinTimeout)
			_ = conn.Close(end) // it hears nothing more, or is not wanted any more
			cancel()
		}
		if pause(ctx, wait) != nil {
			return
		}
	}
}

// listen calls news until the connection fails. It reports whether it heard of
// anything at all.
func (e *Engine) listen(ctx context.Context, conn *pgx.Conn, news func()) bool {
	if _, err := conn.Exec(ctx, "LISTEN "+e.channel()); err != nil {
		return false
	}
	own := hex.EncodeToString(e.incarnation[:])
	for {
		news()
		for {
			n, err := conn.WaitForNotification(ctx)
			if err != nil {
				return true
			}
			if n.Payload != own {
				break
			}
		}
	}
}
