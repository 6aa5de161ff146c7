package workflows

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/edri-io/edri/event"
)

// input is what is fed to a machine: an entry, the result of a step, or an event of the
// history that was one of the two.
type input struct {
	kind string
	time time.Time
	data []byte
	// step is the data, where it need not be decoded.
	step *StepRecord
	// record is what is recorded of it; nil: it is recorded already.
	record *Record
	at     event.Revision // of a recorded one
}

// class says what an event of a history is to a replay.
type class uint8

const (
	classNote  class = iota // of no meaning to the code
	classInput              // fed to the code
	classAsked              // asked for by the code
)

func classOf(kind string) class {
	switch kind {
	case KindStarted, KindSignal, KindUpdate, KindTimerFired, KindResponse, KindRequestExpired,
		KindEvent, KindChildCompleted, KindChildFailed, KindCancelRequested, KindWorkerLost,
		KindRetryRequested, KindStepHeartbeat, KindStepCompleted, KindStepFailed, KindReset:
		return classInput
	case KindStepStarted, KindTimerSet, KindTimerCanceled, KindRequestSent, KindRequestDropped,
		KindEventAwaited, KindEventDropped, KindChildStarted, KindChildCanceled, KindUpdateCompleted,
		KindVersionMarked, KindAttributesSet, KindCompleted, KindFailed, KindCanceled, KindContinued:
		return classAsked
	}
	return classNote
}

// apply changes what the input is about; the code runs after that.
func (m *machine) apply(in input) {
	switch in.kind {
	case KindStarted:
		into(m, in, m.applyStarted)
	case KindSignal:
		into(m, in, func(s SignalReceived) { m.unread = append(m.unread, s) })
	case KindUpdate:
		into(m, in, m.applyUpdate)
	case KindStepHeartbeat, KindStepCompleted, KindStepFailed:
		if in.step != nil {
			m.applyStep(in, *in.step)
			return
		}
		into(m, in, func(r StepRecord) { m.applyStep(in, r) })
	case KindTimerFired:
		into(m, in, func(s Seq) { m.applyTimer(in, s.Seq) })
	case KindResponse:
		into(m, in, func(r ResponseReceived) { m.applyResponse(in, r) })
	case KindRequestExpired:
		into(m, in, func(s Seq) { m.applyExpired(in, s.Seq) })
	case KindEvent:
		into(m, in, func(r EventReceived) { m.applyEvent(in, r) })
	case KindChildCompleted, KindChildFailed:
		into(m, in, func(c ChildEnded) { m.applyChild(in, c) })
	case KindCancelRequested:
		into(m, in, m.applyCancel)
	case KindWorkerLost:
		m.applyWorkerLost()
	case KindRetryRequested:
		m.applyRetry()
	case KindReset:
		m.applyReset(in.at)
	default:
		m.diverge(recorded{kind: in.kind, data: in.data, revision: in.at}, "", nil)
	}
}

// into decodes the data of an input for f. What the cluster wrote must be readable.
func into[T any](m *machine, in input, f func(T)) {
	var data T
	if err := json.Unmarshal(in.data, &data); err != nil {
		m.fail(&fault{
			reason:  string(event.CodeInvalid),
			details: Note{Reason: fmt.Sprintf("decode %s: %v", in.kind, err)},
			err:     fmt.Errorf("decode %s: %w", in.kind, err),
		})
		return
	}
	f(data)
}

// find returns the open op of a number; nil where it is not open any more. A number that
// the code never gave is a divergence.
func (m *machine) find(in input, seq uint64, kinds ...opKind) *op {
	o := m.ops[seq]
	if o == nil {
		if seq > m.seq {
			m.diverge(recorded{kind: in.kind, data: in.data, revision: in.at}, "", nil)
		}
		return nil
	}
	for _, k := range kinds {
		if o.kind == k {
			return o
		}
	}
	m.diverge(recorded{kind: in.kind, data: in.data, revision: in.at}, o.asking(), o.identity())
	return nil
}

// asking and identity say what an open op is, for a divergence.
func (o *op) asking() string {
	return [...]string{opStep: "step", opTimer: KindTimerSet, opRequest: KindRequestSent, opEvent: KindEventAwaited, opChild: KindChildStarted, opLocal: "coroutine"}[o.kind]
}

func (o *op) identity() []byte {
	return mustMarshal(StepRecord{Seq: o.seq, Name: o.name, Attempt: o.attempt})
}

func (m *machine) applyStarted(s Started) {
	m.begun = s
	m.unread = s.Signals
	m.co.spawn(m.main)
}

func (m *machine) applyTimer(in input, seq uint64) {
	o := m.find(in, seq, opTimer, opStep, opRequest)
	switch {
	case o == nil:
	case o.kind == opTimer:
		o.resolve(nil, nil)
	case o.state != opBackoff: // it fired although it was canceled
	case o.kind == opStep:
		o.attempt++
		m.begin(o)
	case o.kind == opRequest:
		o.attempt++
		o.state = opAsked
		m.send(o)
	}
}

func (m *machine) applyCancel(n Note) {
	m.cancelled = true
	m.root.cancel(canceled(n.Reason))
}
