package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
)

const acknowledgements = 300

// commitUntilKilled commits for ever and prints each acknowledged commit.
func commitUntilKilled(ctx context.Context) error {
	return with(ctx, func(s *ankurah.Session) error {
		for k := 0; ; k++ {
			var id ankurah.ID
			err := s.Update(ctx, func(tx *ankurah.Tx) error {
				e, err := ankurah.Dynamic("visit").Create(tx, &ankurah.Fields{"number": k})
				if err == nil {
					id = e.ID()
				}
				return err
			})
			if err != nil {
				return err
			}
			fmt.Println(id)
		}
	})
}

// killAndReopen runs this program again as a process that commits, kills it
// with -9 and looks for everything that it acknowledged.
func killAndReopen(ctx context.Context, sum *summary) error {
	fmt.Println("\n5. A process commits without pause and is killed with -9")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-victim", "-data", *data)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var ids []ankurah.ID
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, err := ankurah.ParseID(strings.TrimSpace(lines.Text()))
		if err != nil {
			continue // the line that the kill cut off
		}
		ids = append(ids, id)
		if len(ids) >= acknowledgements && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				return err
			}
		}
	}
	err = cmd.Wait()
	if !killed {
		return fmt.Errorf("the committing process ended by itself after %d commits: %w", len(ids), err)
	}
	fmt.Printf("   process %d was killed after %d acknowledged commits\n", cmd.Process.Pid, len(ids))
	start := time.Now()
	return with(ctx, func(s *ankurah.Session) error {
		opened := time.Since(start)
		for _, id := range ids {
			if _, err := ankurah.Dynamic("visit").Get(ctx, s, id); err != nil {
				return fmt.Errorf("an acknowledged commit is missing: %w", err)
			}
		}
		n, err := cities.Count(ctx, s, "")
		if err != nil {
			return err
		}
		fmt.Printf("   reopened in %s: all %d are there, and %d cities\n", opened.Round(time.Millisecond), len(ids), n)
		sum.add("kill -9       %d acknowledged commits, 0 missing; reopened in %s", len(ids), opened.Round(time.Millisecond))
		return nil
	})
}
