package policy

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Rules is a small declarative agent: for each collection a list of rules,
// each giving holders of a role rows to read and changes to make. What no rule
// gives is denied.
//
// Conditions are AnkQL predicates. In them :subject stands for the principal's
// subject and :name for its claim of that name; a claim that the principal
// does not have, and the subject of nobody, are NULL. There are no parameters
// without a name.
type Rules struct {
	// Collections are the rules by collection name; "*" holds for those that
	// are not named. A name without rules gives nothing to anybody.
	Collections map[string][]Rule
	// Credentials turns a credential into a principal; its errors are
	// [ErrUnauthenticated]. Nil admits nobody but sessions of the node's own
	// program.
	Credentials func(ctx context.Context, credential []byte) (Principal, error)
}

// Rule gives something to those who hold a role.
type Rule struct {
	Name string // for denials; the role and collection by default
	Role string // "" is everybody, anonymous included; "*" is everybody with a subject
	Read string // rows that may be read; "" is none, "TRUE" all
	// Write is the condition on a change: it must hold of the entity before
	// the change and after it. "" allows no change. A creation has no before
	// and a deletion is judged by what is deleted.
	Write string
}

type compiled struct {
	rule        Rule
	read, write ankql.Expr
}

type rulesAgent struct {
	credentials func(context.Context, []byte) (Principal, error)
	collections map[string][]compiled
}

// Agent checks the rules and returns the agent that follows them. Errors name
// the collection, the rule and the place in the condition.
func (r Rules) Agent() (Agent, error) {
	a := &rulesAgent{credentials: r.Credentials, collections: map[string][]compiled{}}
	for _, name := range sorting.Keys(r.Collections) {
		a.collections[name] = nil // named, so that "*" does not hold for it
		for k, rule := range r.Collections[name] {
			if rule.Name == "" {
				rule.Name = "rule " + strconv.Itoa(k+1) + " for " + roleName(rule.Role)
			}
			c := compiled{rule: rule}
			for _, part := range []struct {
				what, text string
				into       *ankql.Expr
			}{{"read", rule.Read, &c.read}, {"write", rule.Write, &c.write}} {
				if part.text == "" {
					continue
				}
				e, err := ankql.ParseExpr(part.text)
				if err == nil {
					err = check(part.text, e, name)
				}
				if err != nil {
					return nil, &ruleError{name, rule.Name, part.what, err}
				}
				*part.into = e
			}
			a.collections[name] = append(a.collections[name], c)
		}
	}
	return a, nil
}

// check finds what no principal's facts could mend, and its place in the text.
func check(text string, e ankql.Expr, collection string) error {
	_, err := bind(e, Principal{}, collection, nil)
	var at *ankql.BindError
	if !errors.As(err, &at) || at.Pos < 0 {
		return err
	}
	placed, before := *at, text[:at.Pos]
	placed.Line = 1 + strings.Count(before, "\n")
	placed.Col = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return &placed
}

func roleName(role string) string {
	switch role {
	case "":
		return "everybody"
	case "*":
		return "everybody signed in"
	}
	return role
}

type ruleError struct {
	collection, rule, part string
	err                    error
}

func (e *ruleError) Error() string {
	return "ankurah: policy of " + e.collection + ", " + e.rule + ", " + e.part + " condition: " + strings.TrimPrefix(e.err.Error(), "ankurah: ")
}
func (e *ruleError) Unwrap() error { return e.err }

// Authenticate asks the Credentials function.
func (a *rulesAgent) Authenticate(ctx context.Context, credential []byte) (Principal, error) {
	if a.credentials == nil {
		return Principal{}, errNoCredentials
	}
	p, err := a.credentials(ctx, credential)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, ErrUnauthenticated):
		return Principal{}, err
	}
	return Principal{}, &credentialError{err}
}

// credentialError makes whatever a Credentials function said a refusal.
type credentialError struct{ err error }

func (e *credentialError) Error() string   { return "ankurah: unauthenticated: " + e.err.Error() }
func (e *credentialError) Unwrap() []error { return []error{ErrUnauthenticated, e.err} }

var errNoCredentials error = noCredentials{}

type noCredentials struct{}

func (noCredentials) Error() string {
	return "ankurah: unauthenticated: the policy has no Credentials function, so connections are refused"
}
func (noCredentials) Unwrap() error { return ErrUnauthenticated }

// rules yields the rules that hold for p in a collection.
func (a *rulesAgent) rules(p Principal, collection string) func(func(*compiled) bool) {
	rules, named := a.collections[collection]
	if !named {
		rules = a.collections["*"]
	}
	return func(yield func(*compiled) bool) {
		for k := range rules {
			r := &rules[k]
			holds := r.rule.Role == "" || r.rule.Role == "*" && p.Subject != "" || p.HasRole(r.rule.Role)
			if holds && !yield(r) {
				return
			}
		}
	}
}

// bind puts the principal's facts into a condition. They go by name: a map
// would also be taken for the value of a `?`.
func bind(e ankql.Expr, p Principal, collection string, m *schema.Model) (ankql.Expr, error) {
	facts := map[string]any{}
	for param := range ankql.Params(e) {
		if param.Name != "" {
			facts[param.Name] = value.Null
		}
	}
	for k, v := range p.Claims {
		facts[k] = v
	}
	// Nobody is not the owner of what has an empty one.
	facts["subject"] = value.Null
	if p.Subject != "" {
		facts["subject"] = p.Subject
	}
	args := make([]any, 0, len(facts))
	for name, v := range facts {
		args = append(args, ankql.Named{Name: name, Value: v})
	}
	return BindFilter(e, m, collection, args...)
}

// BindFilter binds a condition to the types that are known of a collection. A
// condition that does not fit them, as when it names a property that nobody has
// written yet, is bound without types.
func BindFilter(e ankql.Expr, m *schema.Model, collection string, args ...any) (ankql.Expr, error) {
	if m != nil {
		if bound, err := ankql.BindExpr(e, m, collection, args...); err == nil {
			return bound, nil
		}
	}
	return ankql.BindExpr(e, nil, collection, args...)
}

// ReadFilter returns the disjunction of the read conditions that hold for p.
func (a *rulesAgent) ReadFilter(p Principal, collection string) (ankql.Expr, error) {
	var filter ankql.Expr
	for r := range a.rules(p, collection) {
		if r.read == nil {
			continue
		}
		e, err := bind(r.read, p, collection, nil)
		if err != nil {
			return nil, err
		}
		if filter == nil {
			filter = e
		} else {
			filter = &ankql.Binary{Op: ankql.OpOr, L: filter, R: e}
		}
	}
	if filter == nil {
		return nil, &DeniedError{p.Subject, collection, "no rule lets it read"}
	}
	return filter, nil
}

// CheckWrite looks for a rule whose write condition holds before and after.
func (a *rulesAgent) CheckWrite(p Principal, w Write) error {
	collection := w.After.Collection()
	why := "no rule lets it write"
	for r := range a.rules(p, collection) {
		if r.write == nil {
			continue
		}
		e, err := bind(r.write, p, collection, w.Model)
		if err != nil {
			return errors.Join(&DeniedError{p.Subject, collection, r.rule.Name}, err)
		}
		if holds(e, w.Before) && holds(e, w.After) {
			return nil
		}
		why = r.rule.Name + " does not allow this change"
	}
	return &DeniedError{p.Subject, collection, why}
}

func holds(e ankql.Expr, s *entity.State) bool { return s == nil || ankql.Eval(e, s) == ankql.True }
