package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// reopenEnv names the folder to a process of its own, see reopen.
const reopenEnv = "ANKURAH_BENCH_REOPEN"

// openStore measures opening a large store in a process that has not seen it,
// and what memory that process takes until it has read every entity.
func openStore(ctx context.Context, runs int) ([]result, error) {
	n := *entities
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	dir = filepath.Join(dir, "node")
	s, done, err := open(ctx, dir, true)
	if err == nil {
		err = fill(ctx, s, n)
	}
	if err == nil {
		err = done()
	}
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	params := "entities:" + itoa(n) + ",engine:pebble"
	took := result{name: "reopen", unit: "ms", params: params}
	memory := result{name: "resident_after_scan", unit: "MiB", params: params + ",block_cache:64MiB"}
	for range runs + 1 {
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), reopenEnv+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("reopen: %w", err)
		}
		var ms, mib float64
		var rows int
		if _, err := fmt.Sscan(string(out), &ms, &mib, &rows); err != nil {
			return nil, fmt.Errorf("reopen: %q: %w", out, err)
		}
		if rows != n {
			return nil, fmt.Errorf("reopen: %d of %d entities", rows, n)
		}
		took.ours, memory.ours = append(took.ours, ms), append(memory.ours, mib)
	}
	took.ours, memory.ours = took.ours[1:], memory.ours[1:]
	return []result{took, memory}, nil
}

// reopen opens a node in dir and reads its cities. It prints the ms until the
// node was open, the most MiB that were resident, and how many cities there are.
func reopen(ctx context.Context, dir string) error {
	start := time.Now()
	s, done, err := open(ctx, dir, false)
	if err != nil {
		return err
	}
	took := micros(time.Since(start)) / 1000
	snap, err := s.Node().Engine().Snapshot()
	if err != nil {
		return err
	}
	rows := 0
	for _, err := range snap.All(ctx, "city") {
		if err != nil {
			return err
		}
		rows++
	}
	mib, err := peakMemory()
	if err != nil {
		return err
	}
	fmt.Println(took, mib, rows)
	return errors.Join(snap.Close(), done())
}

// peakMemory returns the most MiB of this process that were resident, 0 where
// the system does not say.
func peakMemory() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return memoryOf(status, "VmHWM:")
}

// memoryOf returns the MiB that a line of a process's status says.
func memoryOf(status []byte, line string) (float64, error) {
	for l := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(l, line); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(size), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, nil
}
