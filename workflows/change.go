package workflows

import "fmt"

// Version says which way the code of a run goes at a change: highest for runs that come
// there first with this code, what was recorded for those that were there before, and
// lowest for those that passed the place before the change was made. The code keeps all
// ways from lowest to highest:
//
//	if workflows.Version(ctx, "check address", 0, 1) >= 1 {
//		… // only runs that have not passed here
//	}
//
// The answer of a change is the same for the whole run.
func Version(ctx Context, change string, lowest, highest int) int {
	m := ctx.s.m
	m.enterChanging()
	version, known := m.versions[change]
	if !known {
		version = m.mark(change, lowest, highest)
		if m.versions == nil {
			m.versions = make(map[string]int)
		}
		m.versions[change] = version
	}
	if version < lowest || version > highest {
		d := &Divergence{Revision: m.replay.seen, Recorded: fmt.Sprintf("version %d of change %q", version, change),
			Asked: fmt.Sprintf("versions %d to %d", lowest, highest)}
		m.fail(&fault{reason: reasonDivergence, details: d, err: d})
	}
	return version
}

func (m *machine) mark(change string, lowest, highest int) int {
	r := &m.replay
	if r.expects() {
		if len(r.expected) == 0 || r.expected[0].kind != KindVersionMarked {
			return lowest
		}
		var was VersionRecord
		if decode(r.expected[0].data, &was) != nil || was.Change != change {
			return lowest
		}
		m.events++
		r.expected = r.expected[1:]
		return was.Version
	}
	m.emit(KindVersionMarked, mustMarshal(VersionRecord{change, highest}), nil)
	return highest
}

// Upsert sets attributes of the run, by which it is found; a nil value removes one. They
// must be among the definition's.
func Upsert(ctx Context, attributes map[string]any) {
	m := ctx.s.m
	m.enterChanging()
	data, err := encode("attributes", attributes)
	if err != nil {
		panic(err) // neither can the run be found by it, nor does anybody look at an error
	}
	m.emit(KindAttributesSet, data, SetAttributes{attributes})
}
