//go:build !js

package sorting

import "slices"

// Sort sorts s, equal elements in any order.
func Sort[S ~[]E, E any](s S, compare func(a, b E) int) { slices.SortFunc(s, compare) }

// Stable sorts s and leaves equal elements in their order.
func Stable[S ~[]E, E any](s S, compare func(a, b E) int) { slices.SortStableFunc(s, compare) }
