// Package timers is the one replicated table of due times: whatever has to happen
// later, delayed events, nak delays, leases' ends, schedules, time to live and
// workflows' timers, is a row of it, written in the transaction that wants it.
//
// # Rows
//
//	key    0        8        16
//	       ├────────┼────────┤
//	       │  due   │ number │   big-endian; due in nanoseconds since 1970
//	       └────────┴────────┘
//	value  uvarint length, owner's name; payload
//
// The number is an incarnation, so that no two timers are ever taken for each
// other, and timers that are due at the same time fire in the order in which
// they were set. Who sets a timer keeps its Timer, due and number, in rows of his
// own to cancel it by; nothing is searched.
//
// # Firing
//
// A timer is due when the cluster's time, not a node's, has reached it. The leader
// waits for the earliest and proposes operation 16, fire: apply takes the first
// rows up to the time in the entry, at most as many as the operation says, deletes
// each and gives it to its owner, all in one transaction. So a timer fires once,
// in the commit that removes it, whatever crashes:
//
//	crash                                   then
//	before the fire is in the Raft log      the next leader proposes another
//	in the log, not applied everywhere      it is applied once, by everyone, as any entry
//	two leaders propose at once             the second finds the rows gone
//	a leader's time was ahead of the        the time in the entry is the median of the
//	others'                                 nodes' clocks, see consensus
//
// A fire costs what is due, whatever else waits: the leader remembers when the
// earliest timer is due, and looks at the table only when that has changed.
package timers
