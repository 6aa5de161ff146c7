package engine

// What the machine notes (consensus.Tx.Note), for the leader and those who wait.

// noteRun says how a run stands after something changed it.
type noteRun struct {
	number        uint64
	advance       uint64
	last          uint64 // entry
	ready, paused bool
	ended         bool
	typ           string
	version       uint32
}

// noteUpdate says that an update was answered.
type noteUpdate struct{ number uint64 }

func noteOf(r *run) noteRun {
	return noteRun{
		number: r.number, advance: r.advance, last: r.last,
		ready: r.is(flagReady), paused: r.is(flagPaused), ended: r.status != statusRunning,
		typ: string(r.typ), version: r.version,
	}
}

// noteEnd says that a run has ended, and which goes on in its place.
type noteEnd struct{ number, next uint64 }
