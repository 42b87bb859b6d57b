//go:build !linux

package pgtest

import "syscall"

// attributes returns what the server's process is started with: nothing but
// what a user who is not root needs.
func attributes() (*syscall.SysProcAttr, error) { return &syscall.SysProcAttr{}, nil }

func give(string, *syscall.SysProcAttr) error { return nil }
