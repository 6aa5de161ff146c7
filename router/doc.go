// Package router delivers events to the members of subscriptions, each once in effect,
// and takes responses to requests.
//
// # The machine
//
// Machine is the part of it that every node executes alike: which subscriptions there
// are, how far each has come, and which of its events are not done. What it keeps is
// bounded by what is pending, not by what was delivered. Who has what at the moment is
// the leader's alone, in memory.
//
// A subscription has a generation, a number that no other subscription and no session
// ever has; a seek gives it a new one. All of its progress is kept under the generation,
// so that what was begun in an earlier life cannot touch a later one. Its first
// generation is also its id.
//
//	            matches,             ack, skip
//	            advance             ┌──────────▶ done ──▶ (trimmed)
//	beyond ──────────────▶ pending ─┤
//	the cursor              │   ▲   └──────────▶ dead ──┐
//	                    nak,│   │its timer  park, or    │redrive: attempts 0,
//	                    lost│   │           max_deliver │outside the order of keys
//	                        ▼   │                       │
//	                       waits◀───────────────────────┘ (pending)
//
// Only the leader matches. It proposes advance: the events that match up to a new
// cursor. The advance stands in the log before anything that settles one of them, and
// one whose `from` is not the cursor has no effect; so two leaders cannot both move it.
// Settling asks apply one thing only: is the event still pending in this generation? So
// whoever comes first wins, in the same transaction as the effects.
//
// # Rows
//
// Integers are big-endian (BE8: 8 bytes) or uvarints; the rows' layouts stand in
// row_*.go and failures.go.
//
//	key                                  row
//	's' name                             subscription: generation, id, paused, note, config
//	'g' BE8 generation                   progress: cursor, trimmed, pin, relics, name
//	'p' BE8 generation, BE8 position     pending: key's hash, due, timer, failed attempts;
//	                                     or done: position of the commit that settled it
//	'd' BE8 id, BE8 position             dead letter: generation, stamp, failed attempts
//	'r' BE8 position                     request: state, deadline, gather, responses
//	'x' BE8 generation or id             garbage: rows to be swept, see garbage.go
//	'u' BE8 position                     a request that was given up, its caller not told
//	'a' BE8 position                     an event that says what was given up or lost
//	'n'                                  number of subscriptions
//
// What holds between them, after every operation:
//
//   - An event of a generation has at most one of 'p' and, of its subscription, 'd'.
//   - At or below the cursor, an event that matched is pending, dead or done. Beyond it
//     there are only dead letters, of generations before a seek.
//   - Rows of done events stand from `trimmed` on, at least 10,000 positions back from
//     the cursor, for the answer who was first. An event without a row is done.
//   - The pin is at or below every event that is pending and still there. Dead letters
//     and requests pin their own events, until a release: see release.go.
//   - A request of which it is kept that it was given up is open.
//   - An event that waits has one timer, by which it is due.
//
// # Crashes
//
//	crash                                       then
//	before an advance is committed              the next leader matches from the cursor on
//	after it, before a settlement               the event is pending: delivered again
//	after a settlement, before its answer       settled again: already_acked, with the position;
//	                                            under the same session: the first answer
//	a leader is deposed, its entry commits      it counts, whoever leads by then
//	two members settle one event                the second is already_acked, without effects
//	a generation is dropped, rows are left      they are garbage: settling them is stale_token,
//	                                            and each leader goes on to sweep
//	a request is given up, and its caller       it is kept that it is to be told: the next
//	not told yet                                leader does, if nobody answers before
//	the deadline of a request passes            respond compares the time of its entry, and the
//	before its timer fires                      timer finds what is so
package router
