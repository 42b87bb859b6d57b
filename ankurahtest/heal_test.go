package ankurahtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/ankurahtest"
)

// Heal connects a client whose connection has ended by itself, too.
func TestHealAfterDrain(t *testing.T) {
	c := ankurahtest.New(t, nil)
	cl := c.Client("alice")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Server().Drain(ctx); err != nil {
		t.Fatal(err)
	}
	c.Heal(cl)
	if !cl.Connected() {
		t.Error("Heal returned and the client is not connected")
	}
}
