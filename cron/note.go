package cron

// What the machine notes (consensus.Tx.Note), for the leader.

// noteSchedule says that a schedule was created, updated, paused or let go on, or
// deleted, or that a backfill of it began: its rows are to be read again.
type noteSchedule struct{ name string }

// noteAdvanced says that a schedule was moved past some of its times.
type noteAdvanced struct {
	incarnation, revision uint64
	through, next, due    int64
	left                  uint64
}

// noteCounted says what became of times of a schedule: its counters grew by so much.
type noteCounted struct {
	kind actionKind
	Counters
}

// noteBackfilled says how far a backfill is.
type noteBackfilled struct {
	incarnation, batch uint64
	cursor             int64
	ended              bool
}
