package router

import "github.com/edri-io/edri/event"

// What the machine notes (consensus.Tx.Note), for the leader that delivers.

// noteSubscription says that a subscription was created, updated, paused or let go on,
// sought, or deleted: its row is to be read again.
type noteSubscription struct{ name string }

// noteAdvanced says that the cursor of a generation moved.
type noteAdvanced struct {
	generation uint64
	to         event.Position
}

// noteLost says that a generation lets go of what it had not done between two positions,
// both included, and that its cursor is not before the second any more.
type noteLost struct {
	generation uint64
	from, to   event.Position
}

// noteDone says that an event is acknowledged, skipped, or in the dead letters.
type noteDone struct {
	generation uint64
	position   event.Position
	verb       int // of the settlement; verbLost: of none
	dead       bool
}

// noteWaiting says that an attempt failed, and when the next may be made; due 0: now.
type noteWaiting struct {
	generation uint64
	position   event.Position
	attempts   int // that have failed
	due        int64
	verb       int // verbNak, or verbLost
}

// noteReady says that the wait of an event is over, or that it was redriven.
type noteReady struct {
	generation uint64
	position   event.Position
}

// noteUnanswered says that a subscription gave a request up whose caller waits.
type noteUnanswered struct{ position event.Position }

// noteRequest says that a request has all its responses or expired.
type noteRequest struct{ position event.Position }
