//go:build !js

package core

// canShare says whether there are engines whose stores several processes write
// to.
const canShare = true
