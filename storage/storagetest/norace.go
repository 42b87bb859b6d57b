//go:build !race

package storagetest

// Slow says that everything takes many times as long, under the race detector:
// the suite does less of the same.
const Slow = false
