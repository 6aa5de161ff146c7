// Package managers runs a user's handlers of events: a manager groups handlers by
// event type, workers run them, and what a handler returns is committed together
// with the acknowledgement of the event that it was given. It knows the cluster
// only as [Cluster], so that the same manager runs in a server and in a process of
// the user's own; package managerstest holds both to one suite.
//
// # Handlers
//
//	m, err := managers.New("billing", managers.Config{})
//	managers.Handle(m, "order.placed", func(ctx context.Context, o Order) (managers.Effects, error) {
//		return managers.Emit("bill/"+o.ID, "bill.made", Bill{Total: o.Total}), nil
//	})
//	err = m.Run(ctx, cluster)
//
// A manager has one durable subscription, named like it, which selects the types that
// have a handler. A handler returns effects, which take place with the acknowledgement
// or not at all, or an error, and the event comes again. What it does outside the
// cluster may happen more than once: there [Delivery.EffectID] is what to deduplicate
// by.
//
// # Workers
//
// A handler runs in line (Config.Concurrency 1), in a pool of goroutines (n), or in a
// process of any language ([Process]), which speaks lines of JSON on its standard input
// and output: docs/worker-protocol.md says how.
//
// # Goroutines and processes
//
// Handlers run on goroutines of Cluster.Consume. Each instance of a process has one
// that starts it and waits for it (on a thread of its own, see groupAttributes), and
// while it runs one each for its output, its log and its times. Run owns all of them.
//
//	Run ── pool ── supervise ── instance.run ─┬─ readStdout: messages of the worker
//	                 (one each)    (Wait)     ├─ readStderr: its log
//	                                          └─ watch: hello, heartbeat, end
//
// Nothing is queued here: a delivery waits, on its own goroutine, until a process has
// room, or has nothing else if it failed before (place.go), and Consume has as many as
// there is room. Of a worker's output one line of 8 MiB
// is held at most.
//
// Where two locks meet, it is never: pool.mu, instance.mu and living.mu are held one at
// a time.
package managers
