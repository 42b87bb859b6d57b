package ankql

import (
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// MaxTemplate is the greatest length of a template's text in bytes. It is
// greater than [MaxText], since a parameter of a query may stand for many
// literals of its template.
const MaxTemplate = 1 << 20

// Template returns the selection as a text and the values of its parameters,
// from which [BindTemplate] makes the same selection again, types of literals
// included: this is how a selection goes to another node.
func (s *Selection) Template() (text string, params []value.Value) {
	p := printer{params: &params}
	p.selection(s)
	return p.String(), params
}

// BindTemplate returns the selection that [Selection.Template] was called on,
// or one like it where m knows other types. Errors are those of [Parse] and
// [Bind].
func BindTemplate(text string, params []value.Value, m *schema.Model, collection string) (*Selection, error) {
	return Limits{}.BindTemplate(text, params, m, collection)
}

// BindTemplate is [BindTemplate] within l's nesting. The text of a template may
// be longer than that of a query.
func (l Limits) BindTemplate(text string, params []value.Value, m *schema.Model, collection string) (*Selection, error) {
	q, args, err := l.template(text, params)
	if err != nil {
		return nil, err
	}
	return Bind(q, m, collection, args...)
}

// BindTemplateAcross is [Limits.BindTemplate] for queries whose paths may go
// through references.
func (l Limits) BindTemplateAcross(text string, params []value.Value, models Models, collection string) (*Selection, error) {
	q, args, err := l.template(text, params)
	if err != nil {
		return nil, err
	}
	return BindAcross(q, models, collection, args...)
}

func (l Limits) template(text string, params []value.Value) (*Query, []any, error) {
	if err := tooLong(text, MaxTemplate); err != nil {
		return nil, nil, err
	}
	q, err := l.parse(text)
	if err != nil {
		return nil, nil, err
	}
	args := make([]any, len(params))
	for k, v := range params {
		args[k] = v
	}
	return q, args, nil
}
