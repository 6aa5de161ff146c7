package workflows

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// queryHandler answers a query.
type queryHandler func(input json.RawMessage) (json.RawMessage, error)

// updateHandler executes an update.
type updateHandler struct {
	validate func(input json.RawMessage) error
	handle   func(ctx Context, input json.RawMessage) (json.RawMessage, error)
}

// HandleQuery makes handle answer the queries of a name, from now on and after the run's
// end. It may look at what the code has, and change nothing.
func HandleQuery[In, Out any](ctx Context, name string, handle func(In) (Out, error)) {
	m := ctx.s.m
	m.enterChanging()
	if m.queries == nil {
		m.queries = make(map[string]queryHandler)
	}
	m.queries[name] = func(input json.RawMessage) (json.RawMessage, error) {
		var in In
		if err := decode(input, &in); err != nil {
			return nil, undecodable("input of query "+name, err)
		}
		out, err := handle(in)
		if err != nil {
			return nil, err
		}
		return encode("result of query "+name, out)
	}
}

// HandleUpdate makes handle execute the updates of a name, from now on. It is run like
// Go runs a function, may do all that the workflow's code may, and its result answers the
// update. Validate, if it is not nil, is asked before: it may look at what the code has,
// and what it returns an error for never happened.
//
// A run keeps its updates with their answers, so that the same again is answered as it was:
// it takes 2,000, those that were refused too, and none once it keeps answers of 16 MiB. One
// that goes on for ever continues as new before that.
func HandleUpdate[In, Out any](ctx Context, name string, handle func(Context, In) (Out, error), validate func(In) error) {
	m := ctx.s.m
	m.enterChanging()
	if m.updates == nil {
		m.updates = make(map[string]updateHandler)
	}
	read := func(input json.RawMessage) (in In, err error) {
		if err := decode(input, &in); err != nil {
			return in, undecodable("input of update "+name, err)
		}
		return in, nil
	}
	m.updates[name] = updateHandler{
		validate: func(input json.RawMessage) error {
			in, err := read(input)
			if err == nil && validate != nil {
				err = validate(in)
			}
			return err
		},
		handle: func(ctx Context, input json.RawMessage) (json.RawMessage, error) {
			in, err := read(input)
			if err != nil {
				return nil, err
			}
			out, err := handle(ctx, in)
			if err != nil {
				return nil, err
			}
			return encode("result of update "+name, out)
		},
	}
}

// query answers a query.
func (m *machine) query(name string, input json.RawMessage) (json.RawMessage, *Error) {
	handle := m.queries[name]
	if handle == nil {
		return nil, unknownHandler("query", name, m.queries)
	}
	var result json.RawMessage
	err := m.look(func() (err error) {
		result, err = handle(input)
		return err
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// reject asks the validator of an update; nil: it is accepted.
func (m *machine) reject(u UpdateReceived) *Error {
	handler, ok := m.updates[u.Name]
	if !ok {
		return unknownHandler("update", u.Name, m.updates)
	}
	return m.look(func() error { return handler.validate(u.Input) })
}

// look calls f, which may only look.
func (m *machine) look(f func() error) *Error {
	var err error
	panicked, _ := m.co.look(func() { err = f() })
	if m.co.stuck {
		if m.halt == nil {
			m.stuck()
		}
		return toError(m.halt.err)
	}
	if panicked != nil {
		return &Error{Type: ErrorPanic, Message: fmt.Sprint(panicked)}
	}
	return toError(err)
}

func unknownHandler[T any](what, name string, known map[string]T) *Error {
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	has := "it has none"
	if len(names) > 0 {
		has = "it has: " + strings.Join(names, ", ")
	}
	return &Error{Type: ErrorNotFound, Message: fmt.Sprintf("the run has no %s %q; %s", what, name, has)}
}

// applyUpdate starts the handler of an update that was accepted.
func (m *machine) applyUpdate(u UpdateReceived) {
	m.openUpdates = append(m.openUpdates, u.ID)
	m.co.spawn(func() {
		handler, ok := m.updates[u.Name]
		var result json.RawMessage
		err := error(unknownHandler("update", u.Name, m.updates))
		if ok {
			result, err = handler.handle(Context{m.root}, u.Input)
		}
		m.answer(u.ID, result, toError(err))
	})
}

func (m *machine) answer(id string, result json.RawMessage, err *Error) {
	m.openUpdates = slices.DeleteFunc(m.openUpdates, func(s string) bool { return s == id })
	data := mustMarshal(UpdateRecord{ID: id, Result: result, Error: err})
	m.emit(KindUpdateCompleted, data, FinishUpdate{ID: id, Result: result, Err: err})
}

// answerOpenUpdates is for those that the run ends without.
func (m *machine) answerOpenUpdates() {
	for len(m.openUpdates) > 0 {
		m.answer(m.openUpdates[0], nil, &Error{Type: ErrorUnhandled, Message: "the run ended before it was done"})
	}
}
