package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
)

// maxCounted is up to how many runs are counted one by one.
const maxCounted = 100_000

// Stats is how runs are.
type Stats struct {
	Running uint64 // counted up to 100,000
	Ended   uint64 // that are known
	// Advances that this node has executed since it runs, repeats included.
	Advances uint64
	// Workers is how many sessions there are, and Ready how many runs need a worker and
	// have none; 0 where the node does not lead.
	Workers, Ready int
}

// Stats returns how runs are. It costs a walk over the runs that are under way.
func (e *Engine) Stats(v *consensus.View) (Stats, error) {
	s := Stats{Advances: e.advances.Load()}
	prefix := indexPrefix(fieldStatus, statusRunning.String())
	running := v.Scan(machineName, prefix, after(prefix), false)
	defer running.Close()
	for s.Running < maxCounted && running.Next() {
		s.Running++
	}
	if err := running.Err(); err != nil {
		return s, err
	}
	ended := v.Scan(machineName, []byte{kindEndedCount}, []byte{kindEndedCount + 1}, false)
	defer ended.Close()
	for ended.Next() {
		if len(ended.Value()) != 8 {
			return s, fmt.Errorf("%w: number of ended runs", errRow)
		}
		s.Ended += binary.BigEndian.Uint64(ended.Value())
	}
	d := e.leading.Load()
	if d == nil {
		return s, ended.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Workers = len(d.sessions)
	for _, t := range d.tasks {
		if t.holder == nil && t.ready && !t.paused {
			s.Ready++
		}
	}
	return s, ended.Err()
}
