// Package internode shows a subscription from one node to another: what the
// first commits, the second sees. Its tests are the example.
package internode
