package policy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

var kinds = property.NewRegistry(lww.Kind)

// album returns an entity with the given properties, two by two.
func album(t testing.TB, pairs ...any) *entity.State { return of(t, "album", pairs...) }

func of(t testing.TB, collection string, pairs ...any) *entity.State {
	t.Helper()
	var ops []event.Operation
	for k := 0; k < len(pairs); k += 2 {
		v, err := value.FromGo(pairs[k+1])
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, lww.Set(pairs[k].(string), v))
	}
	entity.SortOps(ops)
	s, err := entity.New(kinds, collection, id.ID{1}, ops)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func agent(t testing.TB, rules policy.Rules) policy.Agent {
	t.Helper()
	a, err := rules.Agent()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var library = policy.Rules{Collections: map[string][]policy.Rule{
	"album": {
		{Name: "the public reads", Read: "public"},
		{Name: "owners edit", Role: "*", Read: "owner = :subject", Write: "owner = :subject AND NOT locked"},
		{Name: "labels see theirs", Role: "label", Read: "label = :label"},
		{Name: "editors edit", Role: "editor", Read: "TRUE", Write: "TRUE"},
	},
	"secret": {},
	"*":      {{Name: "staff", Role: "staff", Read: "TRUE", Write: "TRUE"}},
}}

var (
	nobody = policy.Principal{}
	alice  = policy.Principal{Subject: "alice"}
	emi    = policy.Principal{Subject: "emi", Roles: []string{"label"}, Claims: map[string]string{"label": "EMI", "subject": "alice", "other": "x"}}
	stray  = policy.Principal{Subject: "stray", Roles: []string{"label"}}
	editor = policy.Principal{Subject: "ed", Roles: []string{"label", "editor"}}
	staff  = policy.Principal{Subject: "sue", Roles: []string{"staff"}}
)

// readable says whether p may read s, by the filter alone.
func readable(t testing.TB, a policy.Agent, p policy.Principal, s *entity.State) bool {
	t.Helper()
	filter, err := a.ReadFilter(p, s.Collection())
	if errors.Is(err, policy.ErrDenied) {
		if filter != nil {
			t.Errorf("a denial comes with the filter %s", ankql.PrintExpr(filter))
		}
		return false
	}
	if err != nil || filter == nil {
		t.Fatalf("%v, %v", filter, err)
	}
	return ankql.Eval(filter, s) == ankql.True
}

// S60: each role reads the rows that one of its rules gives, and no other.
func TestReads(t *testing.T) {
	a := agent(t, library)
	public, hers := album(t, "public", true, "owner", "bob"), album(t, "public", false, "owner", "alice", "label", "EMI")
	ownerless, bare, secret, other := album(t, "owner", "", "label", ""), album(t), of(t, "secret", "public", true), of(t, "track", "public", true)
	private := album(t, "owner", "alice")
	for _, c := range []struct {
		who   policy.Principal
		reads []*entity.State
	}{
		{nobody, []*entity.State{public}},
		{alice, []*entity.State{public, hers, private}},
		{emi, []*entity.State{public, hers}},
		{stray, []*entity.State{public}},
		{editor, []*entity.State{public, hers, private, ownerless, bare}},
		{staff, []*entity.State{public, other}},
	} {
		for name, s := range map[string]*entity.State{"public": public, "hers": hers, "private": private, "ownerless": ownerless, "bare": bare, "secret": secret, "other": other} {
			want := false
			for _, r := range c.reads {
				want = want || r == s
			}
			if got := readable(t, a, c.who, s); got != want {
				t.Errorf("%q reads %s: %v, want %v", c.who.Subject, name, got, want)
			}
		}
	}
	for collection, who := range map[string]policy.Principal{"secret": staff, "track": alice, "unheard_of": nobody} {
		var denied *policy.DeniedError
		if _, err := a.ReadFilter(who, collection); !errors.As(err, &denied) || !errors.Is(err, policy.ErrDenied) || denied.Collection != collection || denied.Subject != who.Subject {
			t.Errorf("%q reads %s: %v", who.Subject, collection, err)
		}
	}
}

// S60: a write needs one rule whose condition holds before and after; a denial
// names the principal, the collection and the rule.
func TestWrites(t *testing.T) {
	a := agent(t, library)
	hers, locked, bobs := album(t, "owner", "alice", "locked", false), album(t, "owner", "alice", "locked", true), album(t, "owner", "bob", "locked", false)
	const rule = `ankurah: denied: "alice" in album: owners edit does not allow this change`
	for name, c := range map[string]struct {
		who           policy.Principal
		before, after *entity.State
		want          string // the error, "" for none
	}{
		"her own":               {alice, hers, hers, ""},
		"a new one of hers":     {alice, nil, hers, ""},
		"a new one of his":      {alice, nil, bobs, rule},
		"giving away":           {alice, hers, bobs, rule},
		"taking over":           {alice, bobs, hers, rule},
		"locking":               {alice, hers, locked, rule},
		"unlocking":             {alice, locked, hers, rule},
		"what says nothing":     {alice, nil, album(t), rule},
		"with a claimed name":   {emi, hers, hers, `ankurah: denied: "emi" in album: owners edit does not allow this change`},
		"by anybody":            {nobody, nil, album(t, "owner", "", "locked", false), "ankurah: denied: anonymous in album: no rule lets it write"},
		"by an editor":          {editor, locked, bobs, ""},
		"in a secret place":     {staff, nil, of(t, "secret"), `ankurah: denied: "sue" in secret: no rule lets it write`},
		"elsewhere":             {staff, nil, of(t, "track"), ""},
		"elsewhere by another":  {alice, nil, of(t, "track"), `ankurah: denied: "alice" in track: no rule lets it write`},
		"staff where it is not": {staff, nil, hers, `ankurah: denied: "sue" in album: owners edit does not allow this change`},
	} {
		err := a.CheckWrite(c.who, policy.Write{Before: c.before, After: c.after})
		said := ""
		if err != nil {
			said = err.Error()
		}
		if said != c.want || (err != nil) != errors.Is(err, policy.ErrDenied) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Rules without a name are called by their place and role.
func TestUnnamedRules(t *testing.T) {
	for role, want := range map[string]string{"": "rule 2 for everybody does", "*": "rule 2 for everybody signed in does", "clerk": "rule 2 for clerk does"} {
		a := agent(t, policy.Rules{Collections: map[string][]policy.Rule{"album": {{Read: "TRUE"}, {Role: role, Write: "year > 2000"}}}})
		err := a.CheckWrite(policy.Principal{Subject: "x", Roles: []string{"clerk"}}, policy.Write{After: album(t, "year", 1959)})
		if !errors.Is(err, policy.ErrDenied) || !strings.Contains(err.Error(), want) {
			t.Errorf("role %q: %v", role, err)
		}
	}
}

// What no principal could satisfy is refused when the agent is made: the error
// names collection, rule, condition and place.
func TestInvalidRules(t *testing.T) {
	for _, c := range []struct {
		rule policy.Rule
		want string
	}{
		{policy.Rule{Role: "editor", Read: "owner = "}, "ankurah: policy of album, rule 2 for editor, read condition: line 1, column 9: "},
		{policy.Rule{Name: "mine", Write: "public AND\n é = = 1"}, "ankurah: policy of album, mine, write condition: line 2, column 6: "},
		{policy.Rule{Read: "public ORDER BY name"}, "read condition: line 1, column 8: "},
		{policy.Rule{Read: "public\nOR owner != ?"}, "read condition: line 2, column 13: parameter 1: no value was given for it"},
		{policy.Rule{Read: "TRUE", Write: "name LIKE 1"}, "write condition: line 1, column 11: LIKE takes text, not 1"},
		{policy.Rule{Read: strings.Repeat("(", 1000) + "a" + strings.Repeat(")", 1000)}, "read condition: line 1, column "},
	} {
		rules := policy.Rules{Collections: map[string][]policy.Rule{"album": {{Read: "TRUE"}, c.rule}, "artist": {{Read: "TRUE"}}}}
		a, err := rules.Agent()
		if a != nil || err == nil || !strings.HasPrefix(err.Error(), "ankurah: policy of album, ") || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "ankurah: ") != 1 {
			t.Errorf("%.40q: %v; want %q", c.rule.Read+c.rule.Write, err, c.want)
		}
		if !errors.Is(err, ankql.ErrSyntax) && !errors.Is(err, ankql.ErrBind) {
			t.Errorf("%v does not say what kind of error it is", err)
		}
	}
	if a, err := (policy.Rules{}).Agent(); err != nil || a == nil {
		t.Errorf("no rules: %v", err)
	} else if _, err := a.ReadFilter(editor, "album"); !errors.Is(err, policy.ErrDenied) {
		t.Errorf("no rules give something: %v", err)
	}
}

// Facts that a condition cannot take deny, they do not let through.
func TestUnfitFacts(t *testing.T) {
	a := agent(t, policy.Rules{Collections: map[string][]policy.Rule{"album": {{Name: "levels", Read: "level + :n > 1", Write: "level + :n > 1"}}}})
	p := policy.Principal{Subject: "x", Claims: map[string]string{"n": "many"}}
	if filter, err := a.ReadFilter(p, "album"); err == nil || filter != nil {
		t.Errorf("reads %v, %v", filter, err)
	}
	err := a.CheckWrite(p, policy.Write{After: album(t, "level", 5)})
	if !errors.Is(err, policy.ErrDenied) || !strings.Contains(err.Error(), "levels") || !strings.Contains(err.Error(), "many") {
		t.Errorf("writes: %v", err)
	}
	if readable(t, a, policy.Principal{}, album(t, "level", 5)) {
		t.Error("a claim that is missing lets read")
	}
}

// S60: no credential, no access; whatever is wrong with one is
// ErrUnauthenticated, with the reason kept.
func TestCredentials(t *testing.T) {
	ctx := t.Context()
	if _, err := agent(t, policy.Rules{}).Authenticate(ctx, []byte("x")); !errors.Is(err, policy.ErrUnauthenticated) || !strings.Contains(err.Error(), "Credentials") {
		t.Errorf("without a function: %v", err)
	}
	expired := errors.New("the token has expired")
	own := errors.Join(policy.ErrUnauthenticated, expired)
	a := agent(t, policy.Rules{Credentials: func(got context.Context, credential []byte) (policy.Principal, error) {
		if got != ctx {
			t.Error("another context")
		}
		switch string(credential) {
		case "alice":
			return alice, nil
		case "old":
			return alice, expired
		case "own":
			return alice, own
		}
		return policy.Principal{}, errors.New("no such user")
	}})
	if p, err := a.Authenticate(ctx, []byte("alice")); err != nil || p.Subject != "alice" {
		t.Errorf("alice: %v, %v", p, err)
	}
	for _, credential := range []string{"", "old", "own", "mallory"} {
		if p, err := a.Authenticate(ctx, []byte(credential)); !errors.Is(err, policy.ErrUnauthenticated) || p.Subject != "" {
			t.Errorf("%q: %v, %v", credential, p, err)
		}
	}
	if _, err := a.Authenticate(ctx, []byte("old")); !errors.Is(err, expired) || err.Error() != "ankurah: unauthenticated: the token has expired" {
		t.Errorf("the reason is lost: %v", err)
	}
	if _, err := a.Authenticate(ctx, []byte("own")); err != own {
		t.Errorf("an error that says so itself is wrapped: %v", err)
	}
}

// The permissive agent allows everything, to those without a credential too.
func TestPermissive(t *testing.T) {
	var a policy.Agent = policy.Permissive{}
	for _, credential := range []string{"", "alice"} {
		p, err := a.Authenticate(t.Context(), []byte(credential))
		if err != nil || p.Subject != credential {
			t.Errorf("%q: %v, %v", credential, p, err)
		}
		if filter, err := a.ReadFilter(p, "album"); filter != nil || err != nil {
			t.Errorf("reads: %v, %v", filter, err)
		}
		if err := a.CheckWrite(p, policy.Write{After: album(t)}); err != nil {
			t.Errorf("writes: %v", err)
		}
	}
}

// S20: a constraint sees the entity before and after.
func TestConstraintFunc(t *testing.T) {
	broken := errors.Join(policy.ErrConstraint, errors.New("years go on"))
	var c policy.Constraint = policy.ConstraintFunc(func(_ context.Context, before, after *entity.State) error {
		if before != nil && before.Value("year").Int() > after.Value("year").Int() {
			return broken
		}
		return nil
	})
	early, late := album(t, "year", 1959), album(t, "year", 1960)
	if err := c.Check(t.Context(), late, early); !errors.Is(err, policy.ErrConstraint) {
		t.Errorf("backwards: %v", err)
	}
	if err := errors.Join(c.Check(t.Context(), early, late), c.Check(t.Context(), nil, early)); err != nil {
		t.Error(err)
	}
}

// Nobody owns nothing: the subject of an anonymous principal is NULL, which
// neither equals nor differs, whatever is claimed of it.
func TestSubjectOfNobody(t *testing.T) {
	ownerless := album(t, "owner", "")
	for _, condition := range []string{"owner = :subject", "owner != :subject", "NOT owner = :subject"} {
		a := agent(t, policy.Rules{Collections: map[string][]policy.Rule{"album": {{Read: condition, Write: condition}}}})
		for _, p := range []policy.Principal{{}, {Claims: map[string]string{"subject": ""}}, {Claims: map[string]string{"subject": "eve"}}} {
			if readable(t, a, p, ownerless) || a.CheckWrite(p, policy.Write{After: ownerless}) == nil {
				t.Errorf("%s: nobody with %v gets in", condition, p.Claims)
			}
		}
		if got, want := readable(t, a, alice, ownerless), condition != "owner = :subject"; got != want {
			t.Errorf("%s: alice reads: %v, want %v", condition, got, want)
		}
	}
	a := agent(t, policy.Rules{Collections: map[string][]policy.Rule{"album": {{Read: "owner IS NULL OR :subject IS NULL"}}}})
	if !readable(t, a, nobody, ownerless) || readable(t, a, alice, ownerless) {
		t.Error("a rule cannot ask whether there is a subject")
	}
}
