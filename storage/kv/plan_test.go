package kv_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests find into their testdata")

// TestPlans runs testdata/plans.txt: blocks of a command, its input, a line of
// dashes and the output. The commands are
//
//	model    a property a line: key, type, and behind "default" a text
//	indexes  an index a line, as schema.Index.Name writes it; they replace
//	         those before
//	explain  a query a line
func TestPlans(t *testing.T) {
	const file = "testdata/plans.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	p := &plans{t: t}
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		input, _, _ := strings.Cut(block+"\n", "----\n")
		for strings.HasPrefix(input, "#") {
			var comment string
			comment, input, _ = strings.Cut(input, "\n")
			out.WriteString(comment + "\n")
		}
		out.WriteString(input + "----\n" + p.run(input) + "\n")
	}
	got := strings.TrimSpace(out.String()) + "\n"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("%s (-want +got; -rewrite accepts it):\n%s", file, diff)
	}
}

type plans struct {
	t      *testing.T
	model  *schema.Model
	engine *kv.Engine
}

func (p *plans) run(input string) string {
	command, rest, _ := strings.Cut(input, "\n")
	lines := strings.Split(strings.TrimSpace(rest), "\n")
	switch command {
	case "model":
		var props []schema.Property
		for _, line := range lines {
			f := strings.Fields(line)
			prop := schema.Property{Key: f[0], Type: value.Type{Kind: kind(p.t, f[1])}}
			if len(f) > 2 {
				prop.Default = value.String(f[3])
			}
			props = append(props, prop)
		}
		p.model = schema.NewModel("", "album", props)
	case "indexes":
		p.engine = open(p.t, memory.NewStore(), kv.Options{Index: kv.IndexOptions{NoAuto: true}})
		for _, line := range lines {
			if err := p.engine.EnsureIndex(p.t.Context(), "album", parseIndex(line)); err != nil {
				p.t.Fatal(err)
			}
		}
	case "explain":
		snap, err := p.engine.Snapshot()
		if err != nil {
			p.t.Fatal(err)
		}
		defer snap.Close()
		var out strings.Builder
		for _, line := range lines {
			text, err := snap.Explain(p.t.Context(), bind(p.t, p.model, line))
			if err != nil {
				p.t.Fatal(err)
			}
			out.WriteString("? " + line + "\n" + text)
		}
		return out.String()
	default:
		p.t.Fatalf("no command %q", command)
	}
	return ""
}

func kind(t *testing.T, name string) value.Kind {
	for k := value.KindString; k < value.KindList; k++ {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("no type %q", name)
	return 0
}

func parseIndex(line string) schema.Index {
	var x schema.Index
	for _, c := range strings.Split(line, ",") {
		name, desc := strings.CutSuffix(strings.TrimSpace(c), " desc")
		x.Columns = append(x.Columns, schema.Column{Path: strings.Split(name, "."), Desc: desc})
	}
	return x
}

func bind(t *testing.T, m *schema.Model, text string, args ...any) *ankql.Selection {
	t.Helper()
	q, err := ankql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	sel, err := ankql.Bind(q, m, m.Collection, args...)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

func open(t *testing.T, s kv.Store, opts kv.Options) *kv.Engine {
	t.Helper()
	opts.Location = "test"
	e, err := kv.New(s, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
