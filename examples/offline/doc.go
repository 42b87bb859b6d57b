// Package offline shows a client that works without its server: it reads and
// edits what it holds, survives a restart, and sends what was done when the
// server is there again. Its tests are the example.
package offline
