//go:build !race && !js

package storagetest

// Slow says that everything takes many times as long, under the race detector
// or in a browser: the suite does less of the same.
const Slow = false
