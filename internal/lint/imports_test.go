package lint

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ankurah/ankurah-go"

// pure packages import the standard library and what stands before them here.
var pure = []string{
	"internal/sorting",   // these six stand in for packages that are large in
	"internal/protowire", // browsers
	"internal/sha256",
	"internal/random",
	"internal/hex",
	"internal/panics",
	"id",
	"internal/pb",    // strict reading for the codecs
	"internal/limit", // the sentinel under all errors about limits
	"value",
	"schema",
	"ankql",
	"internal/agg", // what aggregates compute
	"event",
	"property",
	"property/lww",
	"entity",
	"signal",
}

// rules say what else a package may import of this module, with the reason.
var rules = []struct {
	pkg     string
	allowed []string // packages, or "pure"
	why     string
}{
	{"storage", []string{"pure"}, "a contract speaks of entities and queries, not of engines"},
	{"policy", []string{"pure"}, "a contract"},
	{"internal/keyset", []string{"pure"}, "what predicates say needs no engine"},
	{"storage/kv", []string{"pure", "storage", "internal/keyset"}, "an engine over any ordered map"},
	{"storage/memory", []string{"pure", "storage", "storage/kv"}, "engines do not know each other"},
	{"storage/pebble", []string{"pure", "storage", "storage/kv"}, "engines do not know each other"},
	{"storage/postgres", []string{"pure", "storage"}, "engines do not know each other; this one is over no ordered map"},
	{"storage/indexeddb", []string{"pure", "storage", "storage/kv", "storage/memory"}, "an engine of browsers, over a copy in memory"},
	{"internal/book", []string{"pure"}, "what bookkeeping looks like, for those beside the node"},
	{"storage/dump", []string{"pure", "storage", "internal/book"}, "it moves data between engines and knows none"},
	{"internal/reactor", []string{"pure", "internal/keyset"}, "routing needs no storage and no node"},
	{"metrics/prom", nil, "an adapter over the public API, which is not counted here"},
	{"transport", nil, "a contract: bytes and nothing of what is in them"},
	{"transport/local", []string{"transport"}, "transports do not know what they carry"},
	{"internal/inbox", nil, "a queue of frames"},
	{"transport/internal/wsconn", []string{"transport", "internal/inbox"}, "what both ends of a WebSocket share"},
	{"transport/wsserver", []string{"transport", "transport/internal/wsconn"}, "a transport serves whatever accepts, not a node"},
	{"transport/wsclient", []string{"transport", "transport/internal/wsconn", "signal", "internal/panics"}, "a transport connects whatever connects, not a node"},
	{"webhost", []string{"storage", "storage/indexeddb", "storage/memory", "transport", "internal/inbox"}, "it hosts what a program gives it, not a node"},
	{"internal/wire", []string{"pure"}, "messages are data"},
	{"internal/core", []string{"pure", "storage", "policy", "internal/book", "internal/reactor", "internal/wire"}, "the state machine does no I/O of its own"},
	{"internal/gen", nil, "it reads source code and writes some"},
	{"internal/importer", []string{"pure"}, "it works through the public API, which is not counted here, on any engine"},
	{"port", []string{"pure", "policy", "transport", "internal/core", "internal/wire"}, "it serves pages through the public API, which is not counted here; core and wire give it the codes of errors"},
	{"", []string{"pure", "storage", "policy", "transport", "internal/book", "internal/reactor", "internal/core"}, "the root is the shell; engines are the user's choice"},
}

// browserBan lists what must not be linked into a browser program: size.
var browserBan = map[string]string{
	"fmt":           "33 KB compressed, with os",
	"os":            "it links files; syscall.Getenv reads the environment",
	"net/url":       "it links fmt; a browser has URL",
	"encoding/hex":  "its error links fmt; internal/hex",
	"crypto/sha256": "the certified module and its self-tests; internal/sha256",
	"crypto/rand":   "AES and SHA-3 upon the browser's randomness; internal/random",
	"google.golang.org/protobuf/encoding/protowire": "its errors link fmt and read the program's file; internal/protowire",
	"runtime/debug": "it imports fmt and os; internal/panics has the stack",
	"net/http":      "7 MB of wasm",
	"net":           "comes with net/http's weight",
	"crypto/tls":    "the browser has its own",
	"encoding/json": "52 KB compressed, and our own parser is stricter",
	"encoding/gob":  "reflection and 80 KB",
	"log/slog":      "177 KB compressed; Logger is an interface",
	"text/template": "390 KB compressed",
	"html/template": "more than text/template",
}

func list(t *testing.T, env []string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// imports lists what a package imports, here or in the browser.
func imports(t *testing.T, pkg string) []string {
	here := importsFor(t, nil, pkg)
	for _, i := range importsFor(t, browser, pkg) {
		if !slices.Contains(here, i) {
			here = append(here, i)
		}
	}
	return here
}

var browser = []string{"GOOS=js", "GOARCH=wasm"}

func importsFor(t *testing.T, env []string, pkg string) []string {
	return list(t, env, "-e", "-f", `{{join .Imports "\n"}}`, strings.TrimSuffix(module+"/"+pkg, "/"))
}

func TestImportTable(t *testing.T) {
	for k, pkg := range pure {
		for _, i := range imports(t, pkg) {
			own, ours := strings.CutPrefix(i, module+"/")
			switch {
			case ours && slices.Contains(pure[:k], own):
			case !ours && !strings.Contains(strings.Split(i, "/")[0], "."):
			default:
				t.Errorf("pure package %s imports %s", pkg, i)
			}
		}
	}
	for _, r := range rules {
		for _, i := range imports(t, r.pkg) {
			own, ours := strings.CutPrefix(i, module+"/")
			if ours && !slices.Contains(r.allowed, own) && !(slices.Contains(r.allowed, "pure") && slices.Contains(pure, own)) {
				t.Errorf("%q imports %s; it may import %v: %s", r.pkg, own, r.allowed, r.why)
			}
		}
	}
}

// Nobody imports programs and examples, except what copies the chat's sources
// into new projects.
func TestNobodyImportsPrograms(t *testing.T) {
	for _, line := range list(t, nil, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}>{{.}} {{end}}`, "./...") {
		from, to, _ := strings.Cut(line, ">")
		for _, top := range []string{"cmd", "examples"} {
			root := module + "/" + top + "/"
			copies := from == module+"/cmd/ankurah" && to == module+"/examples/chat"
			if strings.HasPrefix(to, root) && !strings.HasPrefix(from, root) && !copies {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}

func TestBrowserClosure(t *testing.T) {
	for _, pkg := range []string{".", "./storage/memory", "./storage/indexeddb", "./policy", "./signal", "./transport/wsclient", "./port", "./webhost", "./webhost/internal/nodehost", "./examples/chat/node"} {
		for _, d := range list(t, browser, "-deps", pkg) {
			if why, banned := browserBan[d]; banned {
				t.Errorf("%s links %s into the browser: %s", pkg, d, why)
			}
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range list(t, nil, "-f", `{{if not .Doc}}{{.ImportPath}}{{end}}`, "./...") {
		t.Errorf("%s has no package comment", p)
	}
}
