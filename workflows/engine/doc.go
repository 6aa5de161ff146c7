// Package engine keeps the runs of workflows, and gives them to the workers that have
// their code.
//
// # The machine
//
// Machine is the part that every node executes alike: which runs there are, what has
// come for each, how far each is, and what it waits for. It knows no code. A run's
// progress is made by advances, each from a worker that has run the code:
//
//	start ──▶ busy ──────────────── advance: records, busy ◀─┐
//	           │  worker: runs code, steps                   │ signal, update, cancel,
//	           └──────▶ at rest ──────▶ an entry comes ──────┘ timer, response, event,
//	           │        (no worker)                            child's end, worker lost
//	           ▼
//	advance with an end │ terminate │ timeout ──▶ ended ──▶ forgotten, by retention
//
// What others do to a run goes into its inbox, and never touches its progress; so only
// another advance of the same number fails an advance. An advance consumes entries, which
// makes them events of the history, adds records of its own, and does what they ask for:
// timers, requests, children, waits for events. All of it, and the effects of a step that
// stand in the same commit, takes effect or nothing does.
//
// What holds after every operation:
//
//   - The history of a run (its ranges of the stream run/ID) is all that its code needs to
//     be run again; it is pinned from its first event until the run is forgotten, and
//     until then a purge of it is refused.
//   - Entries are numbered without a gap; read up to `read`, come up to `last`.
//   - What a run waits for has one row each, whose end puts one entry into the inbox, in
//     the commit that made it: a response, an event, a child's end, the time.
//   - A run that has ended has no entries, timers, requests or waits. Entries of none are
//     those of a run that is to come, or are removed by a timer.
//   - A run has a row 'b' if and only if it needs a worker: its code is to be called, has
//     steps under way, or something has come for it.
//   - r.open is the number of its rows 't', 'q', 'v' and 'c' of a sequence number above 0,
//     r.updates that of its rows 'u', and r.answers what bytes of answers these have.
//
// # Rows
//
// Integers are big-endian (BE8: 8 bytes) or uvarints; layouts stand beside the types.
// A text in a key is ended so that none is the beginning of another (appendValue).
//
//	key                                row
//	'd' type                           definition of a workflow: edri.v1.DefineWorkflow
//	'i' id                             BE8 number of the last run of an id
//	'h' id 0 BE8 number                run of the id before that
//	'r' BE8 number                     run
//	'f' BE8 number                     BE8 number of the last run of a chain, by that of the
//	                                   first; only while the chain runs and is of several
//	'm' BE8 number                     details of a run: attributes, memo, note, parent
//	'o' BE8 number                     outcome of a run: result, error
//	'b' BE8 number                     run that needs a worker
//	'e' BE8 number, BE8 n              entry of the inbox
//	's' BE8 number                     what went ahead of a run's end, see carry.go
//	't' BE8 number, BE8 seq            timer; seq 0: of the run itself
//	'q' BE8 number, BE8 seq            open request: BE8 position
//	'p' BE8 position                   the same by its position: BE8 number, BE8 seq
//	'c' BE8 number, BE8 seq            child: BE8 number, BE8 what becomes of it
//	'u' BE8 number, update id          update and its answer
//	'v', 'w', 'k', 'W', 'l'            waits for events, see match.go
//	'x' field 0 value BE8 number       index, see attributes.go
//	'z' type 0 BE8 when, BE8 number    run of the type that has ended
//	'y' type                           BE8 number of these
//
// # JSON
//
// Histories and inboxes are JSON, most of which the machine hands on as it came. What
// decides something (attributes, what an event is to match and the event's data, ids of
// updates, signals that a reset takes along) it reads by itself, and refuses in its own
// words: nodes that were built with different versions of Go must come to the same.
//
// # The leader
//
// The leader's dispatcher keeps a run with one worker, which has its code in memory, and
// sends that the entries which come. Nothing of that is replicated, and nothing depends
// on it but that work is not done twice for nothing.
//
// # Crashes
//
//	crash                                     then
//	of a worker in a step                     after 2 s the run is noted as lost, in its inbox,
//	                                          and given to another: the step counts an attempt
//	of a worker before its advance is sent    the same: what it did is done again
//	of the leader, advance not in the log     the worker sends it again, to the next one
//	in the log, its answer lost               sent again: the nonce says that it is the same
//	two workers have a run                    the first advance wins; the other is told
//	                                          revision_conflict, and lets go
//	a leader begins                           it waits 2 s for workers to show what they have;
//	                                          other runs that were busy are noted as lost
//	a response, timer or event and a run's    whatever comes first in the log: it is an entry,
//	end at the same time                      or the run waits for it no more
package engine
