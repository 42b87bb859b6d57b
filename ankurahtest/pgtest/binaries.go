package pgtest

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrMissing is wrapped when the machine has no PostgreSQL.
var ErrMissing = errors.New("PostgreSQL is not installed")

type missingError struct{}

func (missingError) Error() string {
	return "ankurah: " + ErrMissing.Error() + ": no initdb in /usr/lib/postgresql/*/bin, in PATH or in $PGBIN: install it with: apt-get install -y postgresql"
}
func (missingError) Unwrap() error { return ErrMissing }

// places are where distributions put the programs of each version.
var places = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"}

// Binaries returns the folder of initdb and postgres, of the newest version
// there is. Its error wraps [ErrMissing].
func Binaries() (string, error) {
	if dir := os.Getenv("PGBIN"); dir != "" {
		if !holds(dir) {
			return "", errors.New("ankurah: PGBIN is " + dir + ", which holds no initdb and postgres")
		}
		return dir, nil
	}
	var dirs []string
	for _, pattern := range places {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		dirs = append(dirs, slices.DeleteFunc(found, func(dir string) bool { return !holds(dir) })...)
	}
	if len(dirs) > 0 {
		return slices.MaxFunc(dirs, func(a, b string) int { return cmp.Compare(version(a), version(b)) }), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil && holds(filepath.Dir(path)) {
		return filepath.Dir(path), nil
	}
	return "", missingError{}
}

func holds(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

// version returns the number at the end of the folder above bin.
func version(bin string) int {
	name := filepath.Base(filepath.Dir(bin))
	k := len(name)
	for k > 0 && '0' <= name[k-1] && name[k-1] <= '9' {
		k--
	}
	n, err := strconv.Atoi(name[k:])
	if err != nil {
		return 0
	}
	return n
}
