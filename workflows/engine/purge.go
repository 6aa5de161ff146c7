package engine

import (
	"iter"
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// CheckPurge implements consensus.PurgeChecker: a history stays whole for as long as its
// run is known, to be replayed, queried or reset. A run that comes later begins above all
// that its stream has now, or takes over the history of one that is known.
func (m *Machine) CheckPurge(v *consensus.View, stream string, before event.Revision) error {
	id, history := strings.CutPrefix(stream, event.RunStreamPrefix)
	if !history {
		return nil
	}
	for r, err := range runsOf(v, []byte(id)) {
		if err != nil {
			return err
		}
		if begin := r.history[0].From; begin < before {
			return event.Errorf(event.CodeCheckFailed,
				"purge stream %q before revision %d: the history of run %s begins at revision %d, and stays until the run is forgotten (edri workflow rm)",
				stream, before, r.name(), begin)
		}
	}
	return nil
}

// runsOf yields the runs of an id that are known, the last first. The sequence ends with
// an error.
func runsOf(v *consensus.View, id []byte) iter.Seq2[*run, error] {
	return func(yield func(*run, error) bool) {
		r, err := findRun(v, target{id: id})
		if event.CodeOf(err) == event.CodeNotFound || !yield(r, err) || err != nil {
			return
		}
		it := v.Scan(machineName, textKey(kindOlder, id, 0), textEnd(kindOlder, id), true)
		defer it.Close()
		for it.Next() {
			if r, err := viewRun(v, second(it.Key())); !yield(r, err) || err != nil {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield(nil, err)
		}
	}
}
