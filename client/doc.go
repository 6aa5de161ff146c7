// Package client is the Go SDK of edri: append events, commit several operations
// as one, read the history, follow it, have events delivered, make requests.
//
//	c, err := client.New(client.Config{})
//	if err != nil { ... }
//	defer c.Close()
//	done, err := c.Append(ctx, "orders/42", event.ExpectAny, event.Event{
//		ID: "1", Source: "/shop", Type: "shop.order.placed", Data: []byte(`{"total":7}`),
//		DataContentType: "application/json",
//	})
//
// # What an error says
//
// Every error that a call returns carries a code of package event
// ([event.CodeOf]). Of a write, outcome_unknown says that it took effect, did
// not, or will yet; any other code says that it had no effect and never will.
// The client never turns the one into the other: it retries by itself all that
// can be retried without risk, and it asks again where the answer is lost.
//
// # How writes travel
//
// Calls from any number of goroutines share lanes. A lane is a session of the
// cluster and one open CommitStream: its sender puts all that is pending into
// one frame, each commit with the session's next sequence; results come back by
// sequence. At most 256 commits of a lane are unanswered, since the cluster
// keeps that many results of a session; where more callers wait, another lane is
// opened, up to 16.
//
//	Append ─┐                       ┌─ sender ──── frames ───▶ leader
//	Append ─┼─▶ queue of the lane ──┤                            │
//	Commit ─┘   (order = sequence)  └─ receiver ◀── results ─────┘
//
// When a stream breaks, or the server says that it is not the leader or cannot,
// the lane finds the leader and sends what is unanswered again, in order, under
// the same sequences: what had been executed gives its kept result, the rest is
// executed then. When the node is found not to lead any more, the lane lets its
// stream run dry and moves. A node that owes results for 3 s is asked whether it
// lives and knows a leader; while it does the lane waits, up to 12 s: to send
// again what a slow cluster has in its log already would make it slower.
//
// What remains is outcome_unknown: the caller's context (or GiveUpAfter, or the
// client) ends while its commit is under way; the session expires, or the cluster
// is restored from a backup, with commits that were sent more than once; a node
// with lower limits refuses what another may have taken.
//
// A [Producer] is a lane of its own with a named session that never expires.
//
// # How events are delivered
//
// [Client.Consume] is a member of a subscription, over one Deliver stream to the
// leader: its sender puts all that is pending into one frame (settlements with
// their effects, credits, leases to extend), its receiver starts a goroutine for
// each delivery. A settlement is the member's until its result is there. When the
// stream breaks the member goes to another node, shows the tokens of what it has
// and sends again what has no result; already_acked then says that an earlier try
// has won. See member.go for the life of a delivery.
//
// Calls that change a subscription are repeated where that is safe; a seek and a
// redrive whose answer is lost are outcome_unknown. A request carries an id, so
// that the same request, sent again, joins the first.
//
// # Concurrency
//
// Client and Producer may be used from many goroutines, a Reader from one at a
// time. Lock order: pool.mu, then lane.mu, then servers.mu; member.mu is held with
// no other.
package client
