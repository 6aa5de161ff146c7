package engine

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// parseFilter reads a filter, nil for an empty one. What is wrong is an *event.Error
// invalid that names the column, in characters from 1.
func parseFilter(text string, declared map[string][]attributeType) (*condition, error) {
	if len(text) > maxFilterBytes {
		return nil, event.TooLarge("filter in bytes", int64(len(text)), maxFilterBytes)
	}
	if !utf8.ValidString(text) {
		return nil, filterError(1, "is no UTF-8")
	}
	p := filterParser{text: text, declared: declared}
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.token.kind == tokenEnd {
		return nil, nil
	}
	c, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.token.kind != tokenEnd {
		return nil, p.unexpected("and, or, or the end")
	}
	return c, nil
}

// token is a word of a filter. Its text is that of a word or operator as it stands, of a
// text what it means.
type token struct {
	kind   tokenKind
	column int
	text   string
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenText
	tokenNumber
	tokenMark // an operator, a parenthesis or a comma
)

type filterParser struct {
	text     string
	declared map[string][]attributeType
	at       int // byte
	token    token
}

func (p *filterParser) column(at int) int { return utf8.RuneCountInString(p.text[:at]) + 1 }

func (p *filterParser) unexpected(want string) error {
	if p.token.kind == tokenEnd {
		return filterError(p.token.column, "ends where %s is expected", want)
	}
	return filterError(p.token.column, "%q stands where %s is expected", p.token.text, want)
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	digits  = "0123456789"
)

// next reads the next token.
func (p *filterParser) next() error {
	p.at += len(p.text[p.at:]) - len(strings.TrimLeft(p.text[p.at:], " \t\r\n"))
	begin := p.at
	take := func(kind tokenKind, chars string) error {
		p.at += len(p.text[p.at:]) - len(strings.TrimLeft(p.text[p.at:], chars))
		p.token = token{kind: kind, column: p.column(begin), text: p.text[begin:p.at]}
		return nil
	}
	if begin == len(p.text) {
		p.token = token{kind: tokenEnd, column: p.column(begin)}
		return nil
	}
	switch c := p.text[begin]; {
	case strings.IndexByte(letters, c) >= 0:
		return take(tokenWord, letters+digits)
	case strings.IndexByte(digits+"+-.", c) >= 0:
		return take(tokenNumber, letters+digits+"+-.")
	case c == '"' || c == '\'':
		return p.quoted(c)
	case strings.IndexByte("(),=", c) >= 0:
		p.at++
		return take(tokenMark, "")
	case strings.IndexByte("!<>", c) >= 0:
		if p.at++; strings.HasPrefix(p.text[p.at:], "=") {
			p.at++
		}
		return take(tokenMark, "")
	}
	r, _ := utf8.DecodeRuneInString(p.text[begin:])
	return filterError(p.column(begin), "%q means nothing", r)
}

// quoted reads a text up to its quotation mark.
func (p *filterParser) quoted(mark byte) error {
	begin := p.at
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == mark:
			p.at++
			p.token = token{kind: tokenText, column: p.column(begin), text: b.String()}
			return nil
		case c == '\\' && p.at+1 < len(p.text):
			if p.at++; strings.IndexByte(`\"'`, p.text[p.at]) < 0 {
				return filterError(p.column(p.at-1), `behind \ stands neither \ nor a quotation mark`)
			}
			b.WriteByte(p.text[p.at])
		default:
			b.WriteByte(c)
		}
	}
	return filterError(p.column(begin), "the text that begins here does not end")
}

func (p *filterParser) isWord(word string) bool {
	return p.token.kind == tokenWord && p.token.text == word
}

func (p *filterParser) isMark(mark string) bool {
	return p.token.kind == tokenMark && p.token.text == mark
}

func (p *filterParser) or(depth int) (*condition, error) {
	return p.list(depth, opOr, "or", func(depth int) (*condition, error) {
		return p.list(depth, opAnd, "and", p.part)
	})
}

// list reads parts with a word between them.
func (p *filterParser) list(depth int, op operator, word string, part func(int) (*condition, error)) (*condition, error) {
	c := &condition{op: op}
	for {
		one, err := part(depth)
		if err != nil {
			return nil, err
		}
		c.parts = append(c.parts, one)
		if !p.isWord(word) {
			break
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if len(c.parts) == 1 {
		return c.parts[0], nil
	}
	return c, nil
}

func (p *filterParser) part(depth int) (*condition, error) {
	if depth > maxFilterDepth {
		return nil, filterError(p.token.column, "more than %d levels deep", maxFilterDepth)
	}
	switch {
	case p.isWord("not"):
		if err := p.next(); err != nil {
			return nil, err
		}
		c, err := p.part(depth + 1)
		return &condition{op: opNot, parts: []*condition{c}}, err
	case p.isMark("("):
		if err := p.next(); err != nil {
			return nil, err
		}
		c, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		return c, p.skip(")")
	case p.token.kind == tokenWord:
		return p.comparison()
	}
	return nil, p.unexpected("a field, not or (")
}

// skip goes over a mark.
func (p *filterParser) skip(mark string) error {
	if !p.isMark(mark) {
		return p.unexpected(mark)
	}
	return p.next()
}

var operators = map[string]operator{
	"=": opEqual, "!=": opNot, "<": opLess, "<=": opLessEqual, ">": opMore, ">=": opMoreEqual,
	"in": opEqual, "prefix": opPrefix,
}

func (p *filterParser) comparison() (*condition, error) {
	field := p.token
	types := fieldTypes(field.text, p.declared)
	if len(types) == 0 {
		return nil, filterError(field.column, "%s is neither a field nor an attribute that a workflow declares", field.text)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	sign := p.token
	op, ok := operators[sign.text]
	if !ok || sign.kind != tokenMark && sign.kind != tokenWord {
		return nil, p.unexpected("=, !=, <, <=, >, >=, in or prefix")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	c := &condition{op: op, field: field.text}
	if op == opNot {
		c.op = opEqual
	}
	if sign.text == "in" {
		if err := p.skip("("); err != nil {
			return nil, err
		}
	}
	for {
		if err := p.value(c, types); err != nil {
			return nil, err
		}
		if sign.text != "in" || !p.isMark(",") {
			break
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if sign.text == "in" {
		if err := p.skip(")"); err != nil {
			return nil, err
		}
	}
	if op == opNot {
		return &condition{op: opNot, parts: []*condition{c}}, nil
	}
	return c, nil
}

// value reads a value of one of the types.
func (p *filterParser) value(c *condition, types []attributeType) error {
	t := p.token
	if t.kind == tokenEnd || t.kind == tokenMark {
		return p.unexpected("a value")
	}
	if c.field == fieldOfStatus && c.op == opEqual && !slices.Contains(statuses[1:], workflows.Status(t.text)) {
		return filterError(t.column, "there is no status %q", t.text)
	}
	found := false
	for _, typ := range types {
		v, ok := t.value(typ)
		if !ok || typ == typeBool && c.op != opEqual || typ != typeString && c.op == opPrefix {
			continue
		}
		found = true
		if !slices.Contains(c.values, v) {
			c.values = append(c.values, v)
		}
	}
	if !found {
		return filterError(t.column, "%s is no value that %s, a %s, can be compared with so", t.text, c.field, typeNames[types[0]])
	}
	return p.next()
}

// value returns what a token is as a value of a type.
func (t token) value(typ attributeType) (value, bool) {
	switch {
	case typ == typeString && t.kind == tokenText:
		return t.text, true
	case typ == typeTime && t.kind == tokenText:
		at, ok := parseTime(t.text)
		return at, ok
	case typ == typeNumber && t.kind == tokenNumber:
		f, err := strconv.ParseFloat(t.text, 64)
		if strings.Trim(t.text, digits+"+-.eE") != "" || err != nil {
			return nil, false
		}
		return positiveZero(f), true
	case typ == typeBool && t.kind == tokenWord && (t.text == "true" || t.text == "false"):
		return t.text == "true", true
	}
	return nil, false
}
