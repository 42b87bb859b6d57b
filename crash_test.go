package ankurah_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

const crashEnv = "ANKURAH_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		if err := commitForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(pgtest.Run(m))
}

// commitForever is the process that is killed: four writers commit transactions
// over two collections and print each one after its acknowledgement.
func commitForever(dir string) error {
	ctx := context.Background()
	eng, err := pebble.Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return err
	}
	if err := n.EnsureSystem(ctx); err != nil {
		return err
	}
	s := n.Session(policy.Principal{})
	var wg sync.WaitGroup
	var out sync.Mutex
	for w := range 4 {
		wg.Go(func() {
			for k := 0; ; k++ {
				var a, b ankurah.ID
				err := s.Update(ctx, func(tx *ankurah.Tx) error {
					x, err := ankurah.Dynamic("left").Create(tx, &ankurah.Fields{"writer": w, "k": k})
					if err != nil {
						return err
					}
					y, err := ankurah.Dynamic("right").Create(tx, &ankurah.Fields{"twin": x.ID(), "k": k})
					if err != nil {
						return err
					}
					a, b = x.ID(), y.ID()
					return nil
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				out.Lock()
				fmt.Println(k, a, b)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// S9, S23: a process that commits continuously is killed with -9, twenty
// times on one store: no acknowledged commit is missing, none is halved, the store
// is whole.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	total := 0
	for round := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crashEnv+"="+dir)
		cmd.Stderr = os.Stderr
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var acknowledged []string
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
			if len(acknowledged) == 20+round*13 { // another moment every round
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // "signal: killed" is what was asked for
		total += verifyTwins(t, dir, acknowledged)
	}
	if total == 0 {
		t.Fatal("no process acknowledged anything")
	}
}

func verifyTwins(t *testing.T, dir string, acknowledged []string) int {
	t.Helper()
	ctx := t.Context()
	eng, err := pebble.Open(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	storagetest.CheckWhole(t, eng, property.NewRegistry(lww.Kind))
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := n.Session(policy.Principal{})
	left, right := ankurah.Dynamic("left"), ankurah.Dynamic("right")
	for _, line := range acknowledged {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue // the line that the kill cut off
		}
		for k, c := range []ankurah.Collection[ankurah.Fields, ankurah.Record, *ankurah.Edit]{left, right} {
			id, err := ankurah.ParseID(f[k+1])
			if err != nil {
				t.Fatal(err)
			}
			v, err := c.Get(ctx, s, id)
			if err != nil {
				t.Fatalf("acknowledged and missing: %v", err)
			}
			if got, _ := v.Get("k"); strconv.FormatInt(got.(int64), 10) != f[0] {
				t.Fatalf("%s %v holds k = %v, not %s", c.Name(), id, got, f[0])
			}
		}
	}
	twins := map[ankurah.ID]bool{}
	for v, err := range right.All(ctx, s, "") {
		if err != nil {
			t.Fatal(err)
		}
		twin, _ := v.Get("twin")
		twins[twin.(ankurah.ID)] = true
	}
	lefts := 0
	for v, err := range left.All(ctx, s, "") {
		if err != nil {
			t.Fatal(err)
		}
		lefts++
		if !twins[v.ID()] {
			t.Fatalf("half a transaction: %v has no twin", v.ID())
		}
	}
	if lefts != len(twins) {
		t.Fatalf("half a transaction: %d on the left, %d on the right", lefts, len(twins))
	}
	return len(acknowledged)
}
