package api

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	intwire "github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/engine"
)

type (
	workFrame   = wire.Frame[edriv1.WorkRequest]
	workedFrame = wire.Frame[edriv1.WorkResponse]
)

// maxAdvances is how many advances of a stream may be without a result; then nothing more
// is read from it.
const maxAdvances = 4096

// maxWorkFrame is what a frame to a worker has of what is ready; a larger item travels alone,
// so that the worker reads it: none is above what an event and a run's first event may have.
const maxWorkFrame = 1 << 20

// workStream moves runs to a worker, its advances to the node, and their results back, as
// they come, what is ready together in frames of maxWorkFrame.
type workStream struct {
	service *service
	session *engine.Session
	room    chan struct{} // has a token when an advance has its result

	mu   sync.Mutex
	open int // advances without a result
}

func (s *service) work(ctx context.Context, stream *connect.BidiStream[workFrame, workedFrame]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	hello, err := first.Message()
	if err != nil {
		return invalid(err)
	}
	w := &workStream{service: s, room: make(chan struct{}, 1)}
	if w.session, err = s.cfg.Workflows.Join(workerOf(hello)); err != nil {
		return err
	}
	graceful := false
	defer func() { w.session.Leave(graceful) }()
	received := make(chan error, 1)
	stop := make(chan struct{})
	go func() { received <- w.receive(stop, stream) }()
	graceful, ended, err := w.send(ctx, stream, received)
	if !ended {
		close(stop)
		stopReading(ctx)
		<-received
	}
	return err
}

func workerOf(m *edriv1.WorkRequest) workflows.Worker {
	w := workflows.Worker{Name: m.Worker, Credits: int(min(m.Credits, 1<<20))}
	for _, v := range m.Workflows {
		w.Workflows = append(w.Workflows, workflows.Workflow{Type: v.Type, Version: v.Version})
	}
	for _, h := range m.Held {
		w.Held = append(w.Held, workflows.Held{Number: h.Number, Advance: h.Advance})
	}
	return w
}

// receive takes frames in until the worker ends its side.
func (w *workStream) receive(stop <-chan struct{}, stream *connect.BidiStream[workFrame, workedFrame]) error {
	for {
		frame, err := stream.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case frame.Err != nil:
			return invalid(frame.Err)
		}
		if err := w.take(frame.Bytes); err != nil {
			return err
		}
		for !w.hasRoom() {
			select {
			case <-w.room:
			case <-stop:
				return nil
			}
		}
	}
}

func (w *workStream) hasRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open < maxAdvances
}

// take does what a frame asks for.
func (w *workStream) take(frame []byte) error {
	var credits uint64
	var advances [][]byte
	f := intwire.Walk(frame)
	for f.Next() {
		switch f.Number {
		case 4:
			if f.WantVarint() {
				credits += min(f.Value, 1<<20) // what a worker said at several times comes together
			}
		case 5:
			if f.WantBytes() {
				advances = append(advances, f.Bytes)
			}
		case 6:
			if f.Varint {
				w.session.Release(f.Value)
			} else {
				f.Fail(intwire.EachVarint(f.Bytes, func(number uint64) error {
					w.session.Release(number)
					return nil
				}))
			}
		case 7:
			if f.WantBytes() {
				f.Fail(w.answer(f.Bytes))
			}
		default:
			return event.Errorf(event.CodeInvalid, "only a stream's first frame has field %d", f.Number)
		}
	}
	if err := f.Err(); err != nil {
		return invalid(err)
	}
	w.session.Heard(int(min(credits, 1<<20)))
	return w.submit(advances)
}

func (w *workStream) answer(b []byte) error {
	m := new(edriv1.QueryAnswer)
	if err := proto.Unmarshal(b, m); err != nil {
		return err
	}
	failure, err := runError(m.Error)
	if err != nil {
		return err
	}
	w.session.Answer(workflows.Answer{ID: m.Id, Result: []byte(m.Result), Err: failure})
	return nil
}

// advancing names an advance that was submitted.
type advancing struct{ number, advance uint64 }

// submit proposes advances, each as a commit of its own: the advance first, then the
// effects.
func (w *workStream) submit(list [][]byte) error {
	if len(list) == 0 {
		return nil
	}
	commits := make([][]byte, len(list))
	names := make([]advancing, len(list))
	for i, b := range list {
		advance, effects, err := splitAdvancing(b)
		if err != nil {
			return invalid(err)
		}
		if names[i], err = nameOfAdvance(advance); err != nil {
			return invalid(err)
		}
		commit := make([]byte, 0, len(advance)+len(effects)+24)
		commits[i] = append(wire.AppendOp(commit, opAdvanceRun, advance, nil), effects...)
	}
	w.mu.Lock()
	w.open += len(list)
	w.mu.Unlock()
	w.service.metrics.commits.Add(float64(len(commits)))
	w.service.cfg.Node.Submit(commits, func(i int, result []byte, err *event.Error) { w.done(names[i], result, err) })
	return nil
}

// splitAdvancing returns the parts of an edri.v1.Advancing, the effects as operations of
// a commit.
func splitAdvancing(b []byte) (advance, effects []byte, err error) {
	f := intwire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&advance)
		case 2:
			if f.WantBytes() {
				effects = wire.AppendMessage(effects, 7, f.Bytes)
			}
		default:
			f.Unknown()
		}
	}
	return advance, effects, f.Err()
}

func nameOfAdvance(b []byte) (a advancing, err error) {
	f := intwire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 2:
			f.SetUint64(&a.number)
		case 3:
			f.SetUint64(&a.advance)
		}
	}
	return a, f.Err()
}

// done takes one result in. It may be called by the goroutine that applies.
func (w *workStream) done(a advancing, result []byte, err *event.Error) {
	told := workflows.Advanced{Number: a.number, Advance: a.advance, Err: whyNoAdvance(err)}
	if err == nil {
		told.Revision, told.Err = resultOfAdvance(result)
	}
	w.session.Advanced(told)
	w.mu.Lock()
	w.open--
	w.mu.Unlock()
	signal(w.room)
}

// resultOfAdvance reads the result of a commit whose first operation is an advance.
func resultOfAdvance(result []byte) (event.Revision, *event.Error) {
	var r wire.CommitResult
	if err := r.Decode(result); err != nil {
		return 0, event.Errorf(event.CodeInternal, "read the result: %v", err)
	}
	if r.Error == nil {
		if len(r.Ops) == 0 {
			return 0, event.Errorf(event.CodeInternal, "an advance without a result")
		}
		return event.Revision(r.Ops[0].HistoryRevision), nil
	}
	failed, err := event.DecodeError(r.Error)
	if err != nil {
		return 0, event.Errorf(event.CodeInternal, "read the result: %v", err)
	}
	return 0, whyNoAdvance(failed)
}

// whyNoAdvance returns why a commit failed whose first operation is an advance: by the
// advance, whose error has its own meaning, before its effects.
func whyNoAdvance(failed *event.Error) *event.Error {
	if failed != nil && len(failed.Violations) > 0 {
		return failed.Violations[0].Err
	}
	return failed
}

func (w *workStream) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open == 0
}

// send writes what is ready until the stream ends. graceful says that the worker ended
// its side and has all its results, ended that receive has returned.
func (w *workStream) send(ctx context.Context, stream *connect.BidiStream[workFrame, workedFrame], received chan error) (graceful, ended bool, err error) {
	var frame []byte
	var spare []workflows.Message
	for {
		runtime.Gosched() // what is ready together goes together
		messages, err := w.session.Take(spare)
		spare = messages // what it was is the session's now
		if len(messages) > 0 {
			if frame, err = writeWork(frame, messages, stream); err != nil {
				return false, ended, err
			}
			clear(messages)
			continue
		}
		if err != nil {
			return false, ended, err
		}
		if ended && w.idle() {
			return true, ended, nil
		}
		select {
		case <-w.session.Ready():
		case err := <-received:
			ended, received = true, nil
			if err != nil {
				return false, ended, err
			}
			w.session.Leave(true)
		case <-w.room:
		case <-w.service.cfg.Lifetime.Done():
			return false, ended, event.Errorf(event.CodeUnavailable, "the node is stopping")
		case <-ctx.Done():
			return false, ended, ctx.Err()
		}
	}
}

// workWriter is what frames to a worker are written to.
type workWriter interface{ Send(*workedFrame) error }

// writeWork writes messages in frames, made in the memory of spare, and returns that.
func writeWork(spare []byte, messages []workflows.Message, to workWriter) ([]byte, error) {
	frame := spare[:0]
	var item []byte
	write := func(m *workflows.Message) error {
		item = appendWorkItem(item[:0], m)
		if len(frame) > 0 && len(frame)+len(item) > maxWorkFrame {
			if err := to.Send(&workedFrame{Bytes: frame}); err != nil {
				return err
			}
			frame = bounded(frame)[:0]
		}
		frame = append(frame, item...)
		return nil
	}
	for i := range messages {
		for rest := &messages[i]; rest != nil; {
			var m workflows.Message
			m, rest = splitEntries(rest)
			if err := write(&m); err != nil {
				return nil, err
			}
		}
	}
	err := to.Send(&workedFrame{Bytes: frame})
	return bounded(frame), err
}

// splitEntries returns a message with as many of its entries as go into a frame, and one with
// the others, nil where there are none: a run may have entries of more than a worker reads.
func splitEntries(m *workflows.Message) (first workflows.Message, rest *workflows.Message) {
	first = *m
	var number uint64
	var entries []workflows.Entry
	switch {
	case m.Assign != nil:
		number, entries = m.Assign.Run.Number, m.Assign.Entries
	case m.Entries != nil:
		number, entries = m.Entries.Number, m.Entries.Entries
	}
	n := 0
	for bytes := 0; n < len(entries) && (n == 0 || bytes+len(entries[n].Data) <= maxWorkFrame); n++ {
		bytes += len(entries[n].Data)
	}
	if n == len(entries) {
		return first, nil
	}
	if m.Assign != nil {
		some := *m.Assign
		some.Entries = entries[:n]
		first.Assign = &some
	} else {
		first.Entries = &workflows.Entries{Number: number, Entries: entries[:n]}
	}
	return first, &workflows.Message{Entries: &workflows.Entries{Number: number, Entries: entries[n:]}}
}

// appendWorkItem appends a message as WorkResponse.items.
func appendWorkItem(dst []byte, m *workflows.Message) []byte {
	var item []byte
	switch {
	case m.Assign != nil:
		body := intwire.AppendMessage(nil, 1, appendRunState(nil, &m.Assign.Run))
		body = appendRunEntries(body, m.Assign.Entries)
		for i := range m.Assign.Events {
			e := &m.Assign.Events[i]
			body = intwire.AppendMessage(body, 3, wire.AppendRecorded(nil, uint64(e.Position), uint64(e.Revision), e.Stream,
				e.Stamp.UnixNano(), event.AppendEvent(nil, &e.Event)))
		}
		item = intwire.AppendMessage(nil, 1, body)
	case m.Entries != nil:
		body := intwire.AppendUint(nil, 1, m.Entries.Number)
		item = intwire.AppendMessage(nil, 2, appendRunEntries(body, m.Entries.Entries))
	case m.Advanced != nil:
		body := intwire.AppendUint(intwire.AppendUint(nil, 1, m.Advanced.Number), 2, m.Advanced.Advance)
		if m.Advanced.Err != nil {
			body = intwire.AppendMessage(body, 3, event.AppendError(nil, m.Advanced.Err))
		}
		body = intwire.AppendUint(body, 4, uint64(m.Advanced.Revision))
		item = intwire.AppendMessage(nil, 3, body)
	case m.Query != nil:
		body := intwire.AppendMessage(intwire.AppendUint(nil, 1, m.Query.ID), 2, appendRunState(nil, &m.Query.Run))
		body = intwire.AppendBytes(intwire.AppendBytes(body, 3, m.Query.Name), 4, m.Query.Input)
		item = intwire.AppendMessage(nil, 4, body)
	case m.Drain != nil:
		item = intwire.AppendUint(nil, 5, m.Drain.Number)
	case m.Revoke != nil:
		item = intwire.AppendMessage(nil, 6, intwire.AppendBytes(intwire.AppendUint(nil, 1, m.Revoke.Number), 2, m.Revoke.Reason))
	}
	return intwire.AppendMessage(dst, 1, item)
}

func appendRunState(dst []byte, r *workflows.Run) []byte {
	dst = intwire.AppendBytes(dst, 1, r.ID)
	dst = intwire.AppendUint(dst, 2, r.Number)
	dst = intwire.AppendBytes(dst, 3, r.Type)
	dst = intwire.AppendUint(dst, 4, uint64(r.Version))
	dst = intwire.AppendUint(dst, 5, r.Advance)
	dst = intwire.AppendUint(dst, 6, r.Entry)
	for _, h := range r.History {
		part := intwire.AppendUint(intwire.AppendUint(nil, 1, uint64(h.From)), 2, uint64(h.To))
		dst = intwire.AppendMessage(dst, 7, intwire.AppendUint(part, 3, uint64(h.Since)))
	}
	return intwire.AppendBytes(intwire.AppendBool(dst, 8, r.Ended), 9, r.Correlation)
}

// appendRunEntries appends entries as field 2, which both messages that have some call so.
func appendRunEntries(dst []byte, list []workflows.Entry) []byte {
	for i := range list {
		e := &list[i]
		b := intwire.AppendBytes(intwire.AppendUint(nil, 1, e.Number), 2, e.Kind)
		b = intwire.AppendUint(b, 3, uint64(e.Time.UnixNano()))
		dst = intwire.AppendMessage(dst, 2, intwire.AppendBytes(b, 4, e.Data))
	}
	return dst
}
