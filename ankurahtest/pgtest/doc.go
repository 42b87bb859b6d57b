// Package pgtest gives tests a real PostgreSQL: one cluster for a package's
// tests, started from the machine's binaries in a temporary folder, and a fresh
// database for each test.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
//
//	func TestAlbums(t *testing.T) {
//		engine, err := postgres.Open(t.Context(), pgtest.New(t), nil)
//		…
//	}
//
// The cluster listens on a free port of the loopback address, asks for a random
// password, and ends with the tests: a signal to the process that [Start]
// started, never one by name. PostgreSQL refuses to run as root, so a test that
// runs as root starts it as the user postgres, else as nobody.
//
// Set PGBIN to the folder of initdb and postgres if they are not where Debian,
// Red Hat, Homebrew or PATH have them.
package pgtest
