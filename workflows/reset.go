package workflows

import (
	"maps"
	"slices"

	"github.com/edri-io/edri/event"
)

// asked is how the code asked last for what an op waits for, to ask for it once more.
type asked struct {
	kind string
	data []byte
	do   Command
	at   event.Revision // where that is recorded; 0: it is new, or nothing is to be recorded
}

// emitOpen is emit for what opens an op.
func (m *machine) emitOpen(o *op, kind string, data []byte, do Command) {
	o.opened = asked{kind, data, do, m.emit(kind, data, do)}
}

// applyReset goes on where a reset cut the history: what the code waited for at that point
// was the run's before, and is asked for again. Steps run again, as after a worker that
// was lost, but without counting an attempt, and from their beginning: how far they came
// is the run's before too. So do those that run at most once: it is this that was asked of
// the reset.
func (m *machine) applyReset(cut event.Revision) {
	for _, seq := range slices.Sorted(maps.Keys(m.ops)) {
		o := m.ops[seq]
		if o == nil || o.done {
			continue // by what came before it here
		}
		o.heartbeat = nil
		behind := o.opened.kind != "" && (o.opened.at == 0 || o.opened.at > cut)
		switch {
		case behind: // it is this run's
		case o.kind == opStep && o.state == opBackoff:
			o.attempt++
			m.begin(o)
		case o.kind == opStep && o.state == opAsked && o.step.once():
			m.emitStarted(o)
		case o.kind == opRequest:
			if o.state == opBackoff {
				o.attempt++
				o.state = opAsked
			}
			m.send(o)
		case o.kind == opTimer, o.kind == opEvent, o.kind == opChild:
			m.emitOpen(o, o.opened.kind, o.opened.data, o.opened.do)
			if o.kind == opChild && o.canceled {
				m.emitSeq(KindChildCanceled, o.seq, o.closing)
			}
		}
	}
	m.applyRetry()
}
