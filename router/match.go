package router

import (
	"bytes"
	"iter"
	"strings"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// matcher finds the queues that want an event: those whose filter asks for one exact
// type by that type, the others one by one.
type matcher struct {
	byType map[string][]*queue
	others []*queue
}

func (m *matcher) add(q *queue) {
	typ, ok := exactType(&q.Config.Filter)
	if !ok {
		m.others = append(m.others, q)
		return
	}
	if m.byType == nil {
		m.byType = map[string][]*queue{}
	}
	m.byType[typ] = append(m.byType[typ], q)
}

func (m *matcher) remove(q *queue) {
	m.others = without(m.others, q)
	for typ, list := range m.byType {
		if list = without(list, q); len(list) == 0 {
			delete(m.byType, typ)
		} else {
			m.byType[typ] = list
		}
	}
}

func without(list []*queue, q *queue) []*queue {
	for i, other := range list {
		if other == q {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

// matching yields each queue that wants an event.
func (m *matcher) matching(h *event.Header) iter.Seq[*queue] {
	return func(yield func(*queue) bool) {
		for _, list := range [...][]*queue{m.byType[string(h.Type)], m.others} {
			for _, q := range list {
				if matches(&q.Config.Filter, h) && !yield(q) {
					return
				}
			}
		}
	}
}

// matches reports whether a filter selects an event. Events that edri makes itself,
// such as dead letters, it selects only where it names them: else what a handler
// does could come back to it without end.
func matches(f *event.Filter, h *event.Header) bool {
	if prefix := reserved(h.Type); prefix != "" && !names(f, prefix) {
		return false
	}
	return f.Matches(h)
}

var reservedPrefixes = [...]string{"edri.", "io.serverlessworkflow."}

// reserved returns the prefix of a type that edri itself gives to events.
func reserved(typ []byte) string {
	for _, prefix := range reservedPrefixes {
		if bytes.HasPrefix(typ, []byte(prefix)) {
			return prefix
		}
	}
	return ""
}

// names reports whether a filter asks for types that begin with prefix.
func names(f *event.Filter, prefix string) bool {
	if strings.HasPrefix(f.Exact["type"], prefix) || strings.HasPrefix(f.Prefix["type"], prefix) {
		return true
	}
	for i := range f.All {
		if names(&f.All[i], prefix) {
			return true
		}
	}
	for i := range f.Any {
		if names(&f.Any[i], prefix) {
			return true
		}
	}
	return false
}

// exactType returns the only type that a filter can select.
func exactType(f *event.Filter) (string, bool) {
	if typ, ok := f.Exact["type"]; ok {
		return typ, true
	}
	for i := range f.All {
		if typ, ok := exactType(&f.All[i]); ok {
			return typ, true
		}
	}
	return "", false
}

// queryOf returns a query of the journal's indexes that selects at least what a
// filter does.
func queryOf(f *event.Filter) log.Query {
	var q log.Query
	narrow(&q, f)
	return q
}

func narrow(q *log.Query, f *event.Filter) {
	for name, field := range map[string]*string{
		"type": &q.Type, "source": &q.Source, "subject": &q.Subject, event.AttrCorrelation: &q.Correlation,
	} {
		if want, ok := f.Exact[name]; ok && *field == "" {
			*field = want
		}
	}
	if want, ok := f.Prefix["type"]; ok && q.TypePrefix == "" {
		q.TypePrefix = want
	}
	for i := range f.All {
		narrow(q, &f.All[i])
	}
}
