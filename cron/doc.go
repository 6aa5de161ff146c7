// Package cron fires schedules at their times, and appends events that are to come later.
//
// # The machine
//
// Machine is the part that every node executes alike: which schedules there are, up to
// where the times of each are dealt with, and what became of them. It knows no
// expression and no zone. The leader's loop (lead.go) works out the times, and proposes
// an advance: fire for these nominal times, those others were missed, this one is next.
// Apply takes it only where it is of the state as it is:
//
//	        advance: next, due                advance: fires, missed, next
//	(made) ────────────────────▶ waits ──────────────────────────┐
//	  ▲                           │  ▲                           │
//	  │ update, resume            │  └───────────────────────────┘
//	  │ (times after now)         │ no time left, or the limit is reached
//	  └──────── paused ◀──────────┤
//	                              ▼
//	                            ended
//
// What holds after every operation:
//
//   - Nominal times that were fired for strictly increase: none is fired for twice, by
//     whatever leader, and through is at or above all of them.
//   - Nothing fires before the entry's time has reached due. That time is the median of
//     the nodes' clocks, so that one wrong clock makes nothing early, and does not move
//     through beyond what others see as now.
//   - Each time is fired for, or told: skipped, missed and failed are events of the
//     stream schedule/NAME.
//   - A fire's effects stand in the commit that moves through: event, request or keys,
//     next time, counters.
//
// The id of a fire's event is incarnation/kind/[batch/]nominal time, see fire.id. A
// schedule of a name that was used before has another incarnation.
//
// # Why the loop proposes fires, and timers do not
//
// A row of the table of timers could fire a schedule in apply, but not say what comes
// after it, nor, after an outage, which times are made up for: that takes expressions.
// The leader would have to propose a second operation for each fire, and decide about
// missed times in a third. So its loop has the due times in memory, ordered, and makes
// one operation of all that is due. Delayed events, which have one time each, are rows of
// the table.
//
// # Rows
//
// Integers are big-endian (BE8: 8 bytes) or uvarints; layouts stand beside the types.
//
//	key                             row
//	's' name                        definition: incarnation, created, spec
//	't' BE8 incarnation             state: through, next, due, counters, paused, name
//	'f' BE8 incarnation, BE8 batch  backfill that is under way: cursor, to
//	'r' BE8 incarnation, run        what a fire began and what has not ended
//	'q' run                         the same by its end: BE8 incarnation
//	'b' BE8 incarnation, BE8 n      fire that waits for the end of another
//	'l' 16 bytes of identity        delayed event: at, timer, digest, stream, event
//	'n'                             number of schedules
//
// A run is a byte, the kind of its action, and a BE8 number: of a request its position.
//
// # Actions
//
// Each kind of action is an implementation of action, see there. A fire is an attempt
// (consensus.Tx.Attempt): what fails midway leaves nothing but the event that tells it.
//
// # Overlap
//
// Fires overlap where their action is lasting: has an end. Whether one has not ended is
// decided in apply. The machine that ends what was begun tells (of requests the router, as
// router.Ender), in the transaction that ends it, and what waits fires there.
//
// # Crashes
//
//	crash                                     then
//	before an advance is in the log           the next leader works it out again
//	in the log, not applied everywhere        it is applied once, by everyone
//	two leaders propose the same              the second finds another next: no effect
//	the leader's time was ahead               apply finds it not due: no effect, and the
//	                                          loop tries again
//	no leader for less than 10 s              all fires are made, late
//	no leader for longer                      the catch-up policy decides
//	during a backfill                         it goes on from its cursor
//
// # Expressions
//
// See expr.go and wall.go. robfig/cron panics on some texts, tries every second of five
// years on others, and misses or doubles fires where a zone's offset changes. It is
// asked about a calendar without zones only, and the answer is mapped here.
package cron
