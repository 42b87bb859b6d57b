package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/id"
)

// serveEnv makes a process a server for idleConnections.
const serveEnv = "ANKURAH_BENCH_SERVE"

// idleConnections measures what a server holds that has many WebSocket
// connections with one live query each, and nothing to do: its resident memory,
// in a process of its own. Descriptors limit the number.
func idleConnections(ctx context.Context, _ int) (out []result, err error) {
	const n = 15_000
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env, cmd.Stderr = append(os.Environ(), serveEnv+"=1"), os.Stderr
	stop, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop.Close(), cmd.Wait()) }()
	url, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		return nil, err
	}
	before, err := resident(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	clients := &receivers{}
	defer clients.close()
	for k := range n {
		err := clients.dial(ctx, strings.TrimSpace(url), func(ctx context.Context, c *websocket.Conn) error {
			return greet(ctx, c, uint64(k), "name = 'city "+itoa(k)+"'")
		})
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", k, err)
		}
	}
	after, err := resident(cmd.Process.Pid)
	return []result{{name: "connections_15000", ours: []float64{after}, unit: "MiB",
		params: fmt.Sprintf("connections:%d,queries:%d,transport:websocket-loopback,before:%.0fMiB,each:%.1fKiB", n, n, before, (after-before)*1024/n)}}, err
}

// serveIdle serves one city until standard input ends, and prints its address.
func serveIdle(ctx context.Context) error {
	srv, err := newServer(ctx)
	if err != nil {
		return err
	}
	if _, err := createOne(ctx, srv.s); err != nil {
		return err
	}
	srv.listen()
	fmt.Println(srv.url)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, srv.close())
}

// resident returns how many MiB of a process are resident.
func resident(pid int) (float64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	return memoryOf(status, "VmRSS:")
}

// nodeOf returns the ID of the k-th of the clients that are no nodes.
func nodeOf(k uint64) id.ID {
	var tail [8]byte
	binary.BigEndian.PutUint64(tail[:], k)
	return id.New(1, tail)
}
