package workflows

import (
	"maps"
	"slices"
)

// asked is how the code asked for what an op waits for, to ask for it once more.
type asked struct {
	kind string
	data []byte
	do   Command
}

// emitOpen is emit for what opens an op.
func (m *machine) emitOpen(o *op, kind string, data []byte, do Command) {
	o.opened = asked{kind, data, do}
	m.emit(kind, data, do)
}

// applyReset goes on where a reset cut the history: what the code waited for at that point
// was the run's before, and is asked for again. Steps run again, as after a worker that
// was lost, but without counting an attempt, and from their beginning: how far they came
// is the run's before too.
func (m *machine) applyReset() {
	for _, seq := range slices.Sorted(maps.Keys(m.ops)) {
		o := m.ops[seq]
		if o == nil || o.done {
			continue // by what came before it here
		}
		o.heartbeat = nil
		switch {
		case o.state == opBackoff && o.kind == opStep:
			o.attempt++
			m.begin(o)
		case o.kind == opRequest:
			if o.state == opBackoff {
				o.attempt++
				o.state = opAsked
			}
			m.send(o)
		case o.kind == opChild:
			// The child of the run before has the same ID.
			if do, ok := o.opened.do.(StartChild); ok {
				do.Start.Conflict = ConflictTerminate
				o.opened.do = do
			}
			m.emit(o.opened.kind, o.opened.data, o.opened.do)
		case o.kind == opTimer, o.kind == opEvent:
			m.emit(o.opened.kind, o.opened.data, o.opened.do)
		}
	}
	m.applyRetry()
}
