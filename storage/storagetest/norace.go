//go:build !race

package storagetest

const pairs = 50_000
