//go:build race

package storagetest

const pairs = 5_000
