// Package ledger holds histories to what was acknowledged.
//
// A writer tells the Ledger of each event before it sends it and again when it is
// acknowledged. Afterwards the whole history of each node is read back and
// checked: every acknowledged event is there, at the position and revision that
// were acknowledged; none is there twice; none is there that nobody sent, or with
// other content; positions and each stream's revisions are gapless; what was
// acknowledged before another was sent stands before it; and all nodes tell the
// same history.
//
// An event whose outcome is unknown may be there or not: once at most.
package ledger
